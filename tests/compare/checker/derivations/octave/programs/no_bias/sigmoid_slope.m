function y = sigmoid_slope(s)
% The derivative, given the output.
y = s .* (1 - s);
end
