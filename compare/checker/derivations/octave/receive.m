function value = receive()
% Wait for a value from the pipe; an empty matrix if the pipe was closed.
global lstm_by_hand
value = read(lstm_by_hand.from);
end

function value = read(from)
letter = char(fread(from, 1, 'uint8'));
if isempty(letter)
    value = [];
    return
end
sizes = fread(from, fread(from, 1, 'double'), 'double')';
switch letter
    case 'l'
        value = cell(1, sizes);
        for k = 1:sizes
            value{k} = read(from);
        end
    case 's'
        value = struct();
        for k = 1:sizes
            name = read(from);
            value.(name) = read(from);
        end
    case 'c'
        value = native2unicode(uint8(fread(from, sizes, 'uint8')'), 'utf-8');
    case 'b'
        value = reshape(logical(fread(from, prod(sizes), 'uint8')), sizes);
    case 'f'
        value = reshape(fread(from, prod(sizes), 'single=>single'), sizes);
    case 'd'
        value = reshape(fread(from, prod(sizes), 'double'), sizes);
end
end
