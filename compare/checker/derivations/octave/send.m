function send(value)
% Send a value over the pipe, with all that is in it.
global lstm_by_hand
write(lstm_by_hand.to, value);
fflush(lstm_by_hand.to);
end

function write(to, value)
if iscell(value)
    header(to, 'l', numel(value));
    for k = 1:numel(value)
        write(to, value{k});
    end
elseif isstruct(value) && isscalar(value)
    names = fieldnames(value);
    header(to, 's', numel(names));
    for k = 1:numel(names)
        write(to, names{k});
        write(to, value.(names{k}));
    end
elseif ischar(value)
    bytes = unicode2native(value(:)', 'utf-8');
    header(to, 'c', numel(bytes));
    fwrite(to, bytes, 'uint8');
elseif islogical(value)
    header(to, 'b', size(value));
    fwrite(to, value, 'uint8');
elseif isa(value, 'single') && isreal(value)
    header(to, 'f', size(value));
    fwrite(to, value, 'single');
elseif isnumeric(value) && isreal(value)
    header(to, 'd', size(value));
    fwrite(to, full(double(value)), 'double');
else
    kind = class(value);
    if isnumeric(value)
        kind = 'complex numbers';
    end
    header(to, 'x', numel(kind));
    fwrite(to, kind, 'uint8');
end
end

function header(to, letter, sizes)
fwrite(to, letter, 'uint8');
fwrite(to, [numel(sizes), sizes], 'double');
end
