function [output, h_n, c_n, tape] = forward(p, x, h_0, c_0)
[D, B, T] = size(x);
H = size(h_0, 1);
h = h_0;
c = c_0;
output = zeros(H, B, T);
tape = cell(1, T);
for t = 1:T
    h_prev = h;
    c_prev = c;
    z = p.weight_ih * x(:, :, t) + p.weight_hh * h_prev + p.bias;
    i = 1 ./ (1 + exp(-z(1:H, :)));
    f = 1 ./ (1 + exp(-z(H + 1:2 * H, :)));
    g = tanh(z(2 * H + 1:3 * H, :));
    o = 1 ./ (1 + exp(-z(3 * H + 1:4 * H, :)));
    c = probe('c', t, f .* c_prev + i .* g);
    h = probe('h', t, o .* tanh(c));
    output(:, :, t) = h;
    tape{t} = struct('x', x(:, :, t), 'h_prev', h_prev, 'c_prev', c_prev, 'i', i, 'f', f, 'g', g, 'o', o, 'c', c);
end
h_n = h;
c_n = c;
end
