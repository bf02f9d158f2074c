function [y, tape] = forward(p, x)
% An LSTM with one number as the bias of a gate that adds two numbers, a step for each bit: x is (T, 2), y (T, 1) before the last sigmoid.
T = size(x, 1);
H = size(p.W_i, 1);
H_t = zeros(1, H);
C_t = zeros(1, H);
y = zeros(T, 1);
tape = cell(1, T);
for t = 1:T
    H_before = H_t;
    C_before = C_t;
    I = sigmoid(x(t, :) * p.U_i + H_before * p.W_i + p.b_i);
    F = sigmoid(x(t, :) * p.U_f + H_before * p.W_f + p.b_f);
    O = sigmoid(x(t, :) * p.U_o + H_before * p.W_o + p.b_o);
    G = tanh(x(t, :) * p.U_g + H_before * p.W_g + p.b_g);
    C_t = C_before .* F + G .* I;
    H_t = tanh(C_t) .* O;
    y(t, 1) = H_t * p.readout;
    tape{t} = struct('x', x(t, :), 'h', H_t, 'h_before', H_before, 'c', C_t, 'c_before', C_before, ...
        'i', I, 'f', F, 'o', O, 'g', G);
end
end
