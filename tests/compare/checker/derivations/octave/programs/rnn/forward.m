function [hs, tape] = forward(p, x, h)
% One sequence: x is (D, T), a state a column.
T = size(x, 2);
hs = zeros(numel(h), T);
tape = cell(1, T);
for t = 1:T
    h_prev = h;
    h = tanh(p.W * x(:, t) + p.U * h_prev + p.b);
    hs(:, t) = h;
    tape{t} = struct('x', x(:, t), 'h_prev', h_prev, 'h', h);
end
end
