function [weights, allErr, last] = scalar_bias_lstm(iterations, weights)
% SCALAR_BIAS_LSTM  Learn to add binary numbers with an LSTM whose backward pass is right.
%
%   weights = scalar_bias_lstm(5000)            trains, printing every 1000th problem
%   [weights, allErr, last] = scalar_bias_lstm(iterations, weights)
%
% It is the network of "LSTM简单例子(MATLAB code)": 2 inputs, 32 units, 1 output, gradient ascent on the
% log-likelihood at the rate 0.1. Each unit has biases of its own from the start, in rows bi, bf, bo and bg: that is
% what the program's one number becomes after its first update. The backward pass has that program's names, so that each line can be
% pasted into it; the numbers are those of the equations in manual/DERIVATION.md. A "diff" is the derivative of
% the log-likelihood, hence minus the gradient of the loss. For Octave and MATLAB.
%
%   iterations  number of problems, by default 5000
%   weights     struct to go on from: X_i, X_f, X_o, X_g (2 x 32), H_i, H_f, H_o, H_g (32 x 32),
%               bi, bf, bo, bg (1 x 32), out_para (32 x 1)
%   allErr      error of each problem, summed over its bits (1 x iterations)
%   last        struct of the last problem: X (8 x 2), y (8 x 1), d (8 x 1, the predicted bits), lowest bit first;
%               weights before the update; diffs, the sums over the steps, by the names of the weights

  binary_dim = 8;
  hidden_dim = 32;
  alpha = 0.1;
  if nargin < 1
    iterations = 5000;
  end
  if nargin < 2
    weights = start(2, hidden_dim);
  end
  names = fieldnames(weights);
  allErr = zeros(1, iterations);

  for j = 1:iterations
    a_int = randi(128);
    b_int = randi(127);
    X = [bits(a_int, binary_dim), bits(b_int, binary_dim)];
    y = bits(a_int + b_int, binary_dim);

    [diffs, p] = differentiate(weights, X, y);
    last = struct('X', X, 'y', y, 'd', double(p > 0.5), 'weights', weights, 'diffs', diffs);
    for k = 1:numel(names)
      weights.(names{k}) = weights.(names{k}) + alpha * diffs.(names{k});
    end

    allErr(j) = sum(abs(y - p));
    if mod(j, 1000) == 0
      fprintf('Error:%s\nPred:%s\nTrue:%s\n', num2str(allErr(j)), sprintf('%d', flipud(last.d)), sprintf('%d', flipud(y)));
      fprintf('%d + %d = %d\n-------%d------\n', a_int, b_int, 2 .^ (0:binary_dim - 1) * last.d, j);
    end
  end
end

function weights = start(input_dim, hidden_dim)
% Draw every weight uniformly from (-1, 1).
  for gate = 'ifog'
    weights.(['X_' gate]) = 2 * rand(input_dim, hidden_dim) - 1;
    weights.(['H_' gate]) = 2 * rand(hidden_dim, hidden_dim) - 1;
    weights.(['b' gate]) = 2 * rand(1, hidden_dim) - 1;
  end
  weights.out_para = 2 * rand(hidden_dim, 1) - 1;
end

function column = bits(number, binary_dim)
% The binary digits of a number, lowest first.
  column = bitget(number, 1:binary_dim)';
end

function [diffs, p] = differentiate(weights, X_all, y)
% Run the network forward and backward over one problem; p holds the probabilities that the bits are 1.
  X_i = weights.X_i; X_f = weights.X_f; X_o = weights.X_o; X_g = weights.X_g;
  H_i = weights.H_i; H_f = weights.H_f; H_o = weights.H_o; H_g = weights.H_g;
  bi = weights.bi; bf = weights.bf; bo = weights.bo; bg = weights.bg;
  out_para = weights.out_para;
  [T, ~] = size(X_all);
  hidden_dim = size(H_i, 1);
  [I, F, O, G] = deal(zeros(T, hidden_dim));
  [H, C] = deal(zeros(T + 1, hidden_dim));  % the first row is the state before the first step
  p = zeros(T, 1);
  for t = 1:T
    X = X_all(t, :);
    I(t, :) = sigmoid(X * X_i + H(t, :) * H_i + bi);                                      % (L1), (L2)
    F(t, :) = sigmoid(X * X_f + H(t, :) * H_f + bf);                                      % (L3)
    G(t, :) = tanh(X * X_g + H(t, :) * H_g + bg);                                         % (L4)
    O(t, :) = sigmoid(X * X_o + H(t, :) * H_o + bo);                                      % (L5)
    C(t + 1, :) = C(t, :) .* F(t, :) + G(t, :) .* I(t, :);                                % (L6)
    H(t + 1, :) = tanh(C(t + 1, :)) .* O(t, :);                                           % (L7)
    p(t) = sigmoid(H(t + 1, :) * out_para);
  end

  names = fieldnames(weights);
  for k = 1:numel(names)
    diffs.(names{k}) = zeros(size(weights.(names{k})));
  end
  future_H_diff = zeros(1, hidden_dim);
  future_C_diff = zeros(1, hidden_dim);
  for t = T:-1:1
    X = X_all(t, :);
    H_t = H(t + 1, :); H_t_1 = H(t, :); C_t = C(t + 1, :); C_t_1 = C(t, :);
    I_t = I(t, :); F_t = F(t, :); O_t = O(t, :); G_t = G(t, :);
    output_diff = y(t) - p(t);

    H_t_diff = output_diff * out_para' + future_H_diff;                                   % (L8)
    C_t_diff = H_t_diff .* O_t .* (1 - tanh(C_t) .^ 2) + future_C_diff;                   % (L9)
    I_t_diff = C_t_diff .* G_t .* I_t .* (1 - I_t);                                       % (L10)
    F_t_diff = C_t_diff .* C_t_1 .* F_t .* (1 - F_t);                                     % (L11)
    G_t_diff = C_t_diff .* I_t .* (1 - G_t .^ 2);                                         % (L12)
    O_t_diff = H_t_diff .* tanh(C_t) .* O_t .* (1 - O_t);                                 % (L13)
    future_C_diff = C_t_diff .* F_t;                                                      % (L14)
    future_H_diff = I_t_diff * H_i' + F_t_diff * H_f' + O_t_diff * H_o' + G_t_diff * H_g'; % (L15)

    X_i_diff = X' * I_t_diff; H_i_diff = H_t_1' * I_t_diff; bi_diff = I_t_diff;           % (L17) to (L19)
    X_f_diff = X' * F_t_diff; H_f_diff = H_t_1' * F_t_diff; bf_diff = F_t_diff;
    X_o_diff = X' * O_t_diff; H_o_diff = H_t_1' * O_t_diff; bo_diff = O_t_diff;
    X_g_diff = X' * G_t_diff; H_g_diff = H_t_1' * G_t_diff; bg_diff = G_t_diff;

    diffs.X_i = diffs.X_i + X_i_diff; diffs.H_i = diffs.H_i + H_i_diff; diffs.bi = diffs.bi + bi_diff;
    diffs.X_f = diffs.X_f + X_f_diff; diffs.H_f = diffs.H_f + H_f_diff; diffs.bf = diffs.bf + bf_diff;
    diffs.X_o = diffs.X_o + X_o_diff; diffs.H_o = diffs.H_o + H_o_diff; diffs.bo = diffs.bo + bo_diff;
    diffs.X_g = diffs.X_g + X_g_diff; diffs.H_g = diffs.H_g + H_g_diff; diffs.bg = diffs.bg + bg_diff;
    diffs.out_para = diffs.out_para + H_t' * output_diff;
  end
end

function output = sigmoid(x)
  output = 1 ./ (1 + exp(-x));
end
