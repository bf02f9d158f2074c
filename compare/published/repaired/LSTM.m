classdef LSTM < handle
% LSTM  An LSTM layer whose backward pass is right, trained by gradient descent on the squared error of h.
%
%   lstm = LSTM(input_size, hidden_size, learning_rate)
%   losses = lstm.train(X, Y, epochs)      X: input_size x T x samples, Y: hidden_size x T x samples
%   outputs = lstm.forward(X)              X: input_size x T; outputs: hidden_size x T
%   [loss, gradients] = lstm.differentiate(X, Y)
%
% It is the class of "LSTM神经网络 - MATLAB实现", with its names where they are valid in Octave, too: `do` is a keyword
% there, so its gradients are called d_o, d_f and so on. The step of the backward pass returns dh_prev and dc_prev, and
% the loop over the steps uses them. Numbers are those of the equations in manual/DERIVATION.md. For Octave and MATLAB.

  properties
    input_size
    hidden_size
    learning_rate
    weights  % struct of Wf, Wi, Wc, Wo (H x D), Uf, Ui, Uc, Uo (H x H), bf, bi, bc, bo (H x 1)
    cache    % of the last forward pass, a struct for each step
  end

  methods
    function obj = LSTM(input_size, hidden_size, learning_rate)
      obj.input_size = input_size;
      obj.hidden_size = hidden_size;
      obj.learning_rate = learning_rate;
      scale = sqrt(2 / (input_size + hidden_size));
      for gate = 'fico'
        obj.weights.(['W' gate]) = randn(hidden_size, input_size) * scale;
        obj.weights.(['U' gate]) = randn(hidden_size, hidden_size) * scale;
        obj.weights.(['b' gate]) = zeros(hidden_size, 1);
      end
      obj.weights.bf = ones(hidden_size, 1);
    end

    function [h, c, cache] = lstm_cell_forward(obj, x, h_prev, c_prev)
    % One step: x (D x 1), h_prev and c_prev (H x 1).
      w = obj.weights;
      f = LSTM.sigmoid(w.Wf * x + w.Uf * h_prev + w.bf);                      % (L1), (L3)
      i = LSTM.sigmoid(w.Wi * x + w.Ui * h_prev + w.bi);                      % (L2)
      c_tilde = tanh(w.Wc * x + w.Uc * h_prev + w.bc);                        % (L4)
      o = LSTM.sigmoid(w.Wo * x + w.Uo * h_prev + w.bo);                      % (L5)
      c = f .* c_prev + i .* c_tilde;                                         % (L6)
      h = o .* tanh(c);                                                       % (L7)
      cache = struct('x', x, 'h_prev', h_prev, 'c_prev', c_prev, 'f', f, 'i', i, 'c_tilde', c_tilde, 'c', c, 'o', o);
    end

    function outputs = forward(obj, X)
    % All steps of X (D x T), from a zero state: outputs (H x T).
      T = size(X, 2);
      outputs = zeros(obj.hidden_size, T);
      steps = cell(T, 1);
      h = zeros(obj.hidden_size, 1);
      c = zeros(obj.hidden_size, 1);
      for t = 1:T
        [h, c, steps{t}] = obj.lstm_cell_forward(X(:, t), h, c);
        outputs(:, t) = h;
      end
      obj.cache = steps;
    end

    function [gradients, dh_prev, dc_prev] = lstm_cell_backward(obj, dh, dc_next, cache)
    % One step back: the gradients of its weights, and what is carried to the step before.
      w = obj.weights;
      f = cache.f; i = cache.i; c_tilde = cache.c_tilde; o = cache.o; tanh_c = tanh(cache.c);
      dc = dc_next + dh .* o .* (1 - tanh_c .^ 2);                            % (L9)
      d_i = dc .* c_tilde .* i .* (1 - i);                                    % (L10)
      d_f = dc .* cache.c_prev .* f .* (1 - f);                               % (L11)
      d_c_tilde = dc .* i .* (1 - c_tilde .^ 2);                              % (L12)
      d_o = dh .* tanh_c .* o .* (1 - o);                                     % (L13)
      dc_prev = dc .* f;                                                      % (L14)
      dh_prev = w.Uf' * d_f + w.Ui' * d_i + w.Uc' * d_c_tilde + w.Uo' * d_o;  % (L15)
      deltas = struct('f', d_f, 'i', d_i, 'c', d_c_tilde, 'o', d_o);
      for gate = 'fico'
        gradients.(['W' gate]) = deltas.(gate) * cache.x';                    % (L17)
        gradients.(['U' gate]) = deltas.(gate) * cache.h_prev';               % (L18)
        gradients.(['b' gate]) = deltas.(gate);                               % (L19)
      end
    end

    function total = backward(obj, dL_doutput)
    % All steps back, from the gradient of each h (H x T): the gradients of the weights, summed over the steps.
      dh_next = zeros(obj.hidden_size, 1);
      dc_next = zeros(obj.hidden_size, 1);
      for t = size(dL_doutput, 2):-1:1
        dh = dL_doutput(:, t) + dh_next;                                      % (L8)
        [gradients, dh_next, dc_next] = obj.lstm_cell_backward(dh, dc_next, obj.cache{t});
        if t == size(dL_doutput, 2)
          total = gradients;
        else
          for name = fieldnames(gradients)'
            total.(name{1}) = total.(name{1}) + gradients.(name{1});
          end
        end
      end
    end

    function [loss, gradients] = differentiate(obj, X, Y)
    % Half the squared error of each step, averaged over the steps, and its gradients.
      difference = obj.forward(X) - Y;
      loss = 0.5 * sum(difference(:) .^ 2) / size(Y, 2);
      gradients = obj.backward(difference / size(Y, 2));
    end

    function loss = train_step(obj, X, Y)
      [loss, gradients] = obj.differentiate(X, Y);
      for name = fieldnames(gradients)'
        obj.weights.(name{1}) = obj.weights.(name{1}) - obj.learning_rate * gradients.(name{1});
      end
    end

    function losses = train(obj, X_train, Y_train, epochs)
    % Go over the samples in order, epoch after epoch; return the mean loss of each epoch.
      losses = zeros(epochs, 1);
      for epoch = 1:epochs
        for sample = 1:size(X_train, 3)
          losses(epoch) = losses(epoch) + obj.train_step(X_train(:, :, sample), Y_train(:, :, sample));
        end
        losses(epoch) = losses(epoch) / size(X_train, 3);
        if mod(epoch, 100) == 0 || epoch == 1
          fprintf('Epoch %d/%d, 平均损失: %.6f\n', epoch, epochs, losses(epoch));
        end
      end
    end
  end

  methods (Static)
    function y = sigmoid(x)
      y = 1 ./ (1 + exp(-x));
    end
  end
end
