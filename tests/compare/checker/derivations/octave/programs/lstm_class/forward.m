function [hs, tape] = forward(p, x)
% One sequence, vectors as columns: x is (D, T), hs (H, T).
T = size(x, 2);
H = size(p.U_f, 1);
h = zeros(H, 1);
c = zeros(H, 1);
hs = zeros(H, T);
tape = cell(T, 1);
for t = 1:T
    [h, c, tape{t}] = step(p, x(:, t), h, c);
    hs(:, t) = h;
end
end

function [h, c, s] = step(p, x, h_before, c_before)
s.x = x;
s.h_before = h_before;
s.c_before = c_before;
s.f = sigmoid(p.W_f * x + p.U_f * h_before + p.b_f);
s.i = sigmoid(p.W_i * x + p.U_i * h_before + p.b_i);
s.g = tanh(p.W_g * x + p.U_g * h_before + p.b_g);
s.o = sigmoid(p.W_o * x + p.U_o * h_before + p.b_o);
c = s.f .* c_before + s.i .* s.g;
h = s.o .* tanh(c);
s.c = c;
end

function y = sigmoid(z)
y = 1 ./ (1 + exp(-z));
end
