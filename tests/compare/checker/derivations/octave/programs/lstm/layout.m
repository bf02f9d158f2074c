function [layout, options] = layout()
layout = struct('gates', 'i f g o', 'biases', 1);
options = struct();
end
