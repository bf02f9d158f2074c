function [d_x, d_h, d] = backward(p, tape, d_hs)
T = numel(tape);
d_x = zeros(size(p.W, 2), T);
d_h = zeros(size(p.b));  % the gradient of h, as it comes from the next step
d.W = zeros(size(p.W));
d.U = zeros(size(p.U));
d.b = zeros(size(p.b));
for t = T:-1:1
    s = tape{t};
    d_a = (d_hs(:, t) + d_h).*slope(s.h);
    d.W = d.W + d_a*s.x';
    d.U = d.U + d_a*s.h_prev';
    d.b = d.b + d_a;
    d_x(:, t) = p.W'*d_a;
    d_h = p.U'*d_a;
end
end

function s = slope(h)
s = 1 - h.^2;
end
