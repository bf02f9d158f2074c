function [d_x, d] = backward(p, tape, d_hs)
d_x = [];  % not derived
d = struct('W_f', 0 * p.W_f, 'W_i', 0 * p.W_i, 'W_g', 0 * p.W_g, 'W_o', 0 * p.W_o, ...
    'U_f', 0 * p.U_f, 'U_i', 0 * p.U_i, 'U_g', 0 * p.U_g, 'U_o', 0 * p.U_o, ...
    'b_f', 0 * p.b_f, 'b_i', 0 * p.b_i, 'b_g', 0 * p.b_g, 'b_o', 0 * p.b_o);
d_h_prev = zeros(size(p.b_f));
d_c_prev = zeros(size(p.b_f));
for t = numel(tape):-1:1
    s = tape{t};
    d_h = d_hs(:, t) + d_h_prev;
    given = d_c_prev;
    [d_z_f, d_z_i, d_z_g, d_z_o] = step_backward(s, d_h, given);
    d.W_f = d.W_f + d_z_f * s.x';
    d.W_i = d.W_i + d_z_i * s.x';
    d.W_g = d.W_g + d_z_g * s.x';
    d.W_o = d.W_o + d_z_o * s.x';
    d.U_f = d.U_f + d_z_f * s.h_before';
    d.U_i = d.U_i + d_z_i * s.h_before';
    d.U_g = d.U_g + d_z_g * s.h_before';
    d.U_o = d.U_o + d_z_o * s.h_before';
    d.b_f = d.b_f + d_z_f;
    d.b_i = d.b_i + d_z_i;
    d.b_g = d.b_g + d_z_g;
    d.b_o = d.b_o + d_z_o;
    if t > 1
        before = tape{t - 1};
        d_h_prev = p.U_f' * (d_h .* s.f .* (1 - s.f)) + ...
            p.U_i' * (d_h .* s.i .* (1 - s.i)) + ...
            p.U_g' * (d_h .* s.g .* (1 - s.g .^ 2)) + ...
            p.U_o' * (d_h .* s.o .* (1 - s.o));
        d_c_prev = given .* before.f;
    end
end
end

function [d_z_f, d_z_i, d_z_g, d_z_o] = step_backward(s, d_h, given)
d_z_o = d_h .* tanh(s.c) .* s.o .* (1 - s.o);
d_c = given + d_h .* s.o .* (1 - tanh(s.c) .^ 2);
d_z_g = d_c .* s.i .* (1 - s.g .^ 2);
d_z_i = d_c .* s.g .* s.i .* (1 - s.i);
d_z_f = d_c .* s.c_before .* s.f .* (1 - s.f);
end
