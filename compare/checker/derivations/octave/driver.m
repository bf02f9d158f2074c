function driver(from, to)
% Calls the functions that it is told to over one pipe and answers over another, until the first is closed.
% What forward keeps for backward stays here.
global lstm_by_hand
lstm_by_hand = struct('from', fopen(from, 'r'), 'to', fopen(to, 'w'), 'heard', false);
tape = [];
while true
    request = receive();
    if ~iscell(request)
        kill(getpid(), 9);  % to quit would print
    end
    try
        switch request{1}
            case 'folder'
                addpath(request{2});
                answer = {'done'};
            case 'forward'
                lstm_by_hand.heard = request{2};
                returned = call('forward', request{3}, request{4});
                if numel(returned) == request{3}
                    tape = returned{end};
                    returned(end) = {[]};
                end
                answer = [{'done'}, returned];
            case 'backward'
                lstm_by_hand.heard = request{2};
                given = request{4};
                at = numel(given) - request{5};
                answer = [{'done'}, call('backward', request{3}, [given(1:at), {tape}, given(at + 1:end)])];
            otherwise
                answer = [{'done'}, call(request{1}, Inf, {})];
        end
    catch problem
        place = [problem.stack; struct('file', '', 'name', '', 'line', 0, 'column', 0)];
        answer = {'error', problem.message, place(1).file, place(1).line};
    end
    send(answer);
end
end

function returned = call(name, most, given)
% Call a function for all that it returns, or the most that is wanted.
count = nargout(name);
if count < 0
    count = most;
end
returned = cell(1, min(count, most));
[returned{:}] = feval(name, given{:});
end
