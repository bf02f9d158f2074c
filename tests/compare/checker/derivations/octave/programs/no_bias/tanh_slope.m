function y = tanh_slope(a)
% The derivative, given the output.
y = 1 - a .^ 2;
end
