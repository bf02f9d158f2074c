function value = probe(name, varargin)
% probe(name, value) or probe(name, t, value): show an intermediate, and return the value to continue with.
global lstm_by_hand
value = varargin{end};
if isempty(lstm_by_hand) || ~lstm_by_hand.heard
    return
end
step = [];
if numel(varargin) > 1
    step = varargin{1};
end
stack = dbstack();
send({'probe', name, step, value, stack(2).file, stack(2).line});
answer = receive();
if numel(answer) == 2
    error('%s', answer{2});
end
value = answer{1};
end
