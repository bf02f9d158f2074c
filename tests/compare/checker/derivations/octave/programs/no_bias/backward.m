function [d_x, d] = backward(p, tape, d_y)
d_x = [];  % not derived
d = struct('U_i', 0 * p.U_i, 'U_f', 0 * p.U_f, 'U_o', 0 * p.U_o, 'U_g', 0 * p.U_g, ...
    'W_i', 0 * p.W_i, 'W_f', 0 * p.W_f, 'W_o', 0 * p.W_o, 'W_g', 0 * p.W_g, 'readout', 0 * p.readout);
for t = numel(tape):-1:1
    s = tape{t};
    d_h = d_y(t, 1) * p.readout' .* sigmoid_slope(s.h);
    d_z_o = d_h .* tanh(s.c) .* sigmoid_slope(s.o);
    d_c = d_h .* s.o .* tanh_slope(s.c);
    d_z_f = d_c .* s.c_before .* sigmoid_slope(s.f);
    d_z_i = d_c .* s.g .* sigmoid_slope(s.i);
    d_z_g = d_c .* s.i .* tanh_slope(s.g);

    d_U_i = s.x' * d_z_i .* sigmoid_slope(p.U_i);
    d_W_i = s.h_before' * d_z_i .* sigmoid_slope(p.W_i);
    d_U_o = s.x' * d_z_o .* sigmoid_slope(p.U_o);
    d_W_o = s.h_before' * d_z_o .* sigmoid_slope(p.W_o);
    d_U_f = s.x' * d_z_f .* sigmoid_slope(p.U_f);
    d_W_f = s.h_before' * d_z_f .* sigmoid_slope(p.W_f);
    d_U_g = s.x' * d_z_g .* tanh_slope(p.U_g);
    d_W_g = s.h_before' * d_z_g .* tanh_slope(p.W_g);

    d.readout = d.readout + s.h' * d_y(t, 1);
    d.U_i = d.U_i + d_U_i;
    d.W_i = d.W_i + d_W_i;
    d.U_o = d.U_o + d_U_o;
    d.W_o = d.W_o + d_W_o;
    d.U_f = d.U_f + d_U_f;
    d.W_f = d.W_f + d_W_f;
    d.U_g = d.U_g + d_U_g;
    d.W_g = d.W_g + d_W_g;
end
end
