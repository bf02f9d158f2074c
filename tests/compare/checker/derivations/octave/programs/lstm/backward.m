function [d_x, d_h_0, d_c_0, gradients] = backward(p, tape, d_output, d_h_n, d_c_n)
T = numel(tape);
[D, B] = size(tape{1}.x);
d_x = zeros(D, B, T);
gradients = struct('weight_ih', zeros(size(p.weight_ih)), 'weight_hh', zeros(size(p.weight_hh)), 'bias', zeros(size(p.bias)));
d_h_prev = d_h_n;
d_c_prev = d_c_n;
for t = T:-1:1
    s = tape{t};
    d_h = probe('d_h', t, d_output(:, :, t) + d_h_prev);
    d_c = probe('d_c', t, d_c_prev + d_h .* s.o .* (1 - tanh(s.c) .^ 2));
    d_i = d_c .* s.g .* s.i .* (1 - s.i);
    d_f = d_c .* s.c_prev .* s.f .* (1 - s.f);
    d_g = d_c .* s.i .* (1 - s.g .^ 2);
    d_o = d_h .* tanh(s.c) .* s.o .* (1 - s.o);
    d_c_prev = d_c .* s.f;
    d_z = [d_i; d_f; d_g; d_o];
    d_h_prev = p.weight_hh' * d_z;
    d_x(:, :, t) = p.weight_ih' * d_z;
    gradients.weight_ih = gradients.weight_ih + d_z * s.x';
    gradients.weight_hh = gradients.weight_hh + d_z * s.h_prev';
    gradients.bias = gradients.bias + sum(d_z, 2);
end
d_h_0 = d_h_prev;
d_c_0 = d_c_prev;
end
