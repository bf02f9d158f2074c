function [d_x, d] = backward(p, tape, d_y)
d_x = [];  % not derived
d = struct('U_i', 0 * p.U_i, 'U_f', 0 * p.U_f, 'U_o', 0 * p.U_o, 'U_g', 0 * p.U_g, ...
    'W_i', 0 * p.W_i, 'W_f', 0 * p.W_f, 'W_o', 0 * p.W_o, 'W_g', 0 * p.W_g, ...
    'b_i', 0, 'b_f', 0, 'b_o', 0, 'b_g', 0, 'readout', 0 * p.readout);
for t = numel(tape):-1:1
    s = tape{t};
    d_h = d_y(t, 1) * p.readout';
    d_z_o = d_h .* tanh(s.c) .* sigmoid_slope(s.o);
    d_c = d_h .* s.o .* tanh_slope(s.c);
    d_z_f = d_c .* s.c_before .* sigmoid_slope(s.f);
    d_z_i = d_c .* s.g .* sigmoid_slope(s.i);
    d_z_g = d_c .* s.i .* tanh_slope(s.g);
    d_b_i = d_z_i;
    d_b_o = d_z_o;
    d_b_f = d_z_f;
    d_b_g = d_z_g;

    d.readout = d.readout + s.h' * d_y(t, 1);
    d.U_i = d.U_i + s.x' * d_z_i;
    d.W_i = d.W_i + s.h_before' * d_z_i;
    d.U_o = d.U_o + s.x' * d_z_o;
    d.W_o = d.W_o + s.h_before' * d_z_o;
    d.U_f = d.U_f + s.x' * d_z_f;
    d.W_f = d.W_f + s.h_before' * d_z_f;
    d.U_g = d.U_g + s.x' * d_z_g;
    d.W_g = d.W_g + s.h_before' * d_z_g;
    d.b_i = d.b_i + d_b_i;
    d.b_o = d.b_o + d_b_o;
    d.b_f = d.b_f + d_b_f;
    d.b_g = d.b_g + d_b_g;
end
end
