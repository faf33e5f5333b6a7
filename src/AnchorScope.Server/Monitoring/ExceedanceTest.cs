namespace AnchorScope.Server.Monitoring;

/// <summary>Which end of a distribution is tested.</summary>
internal enum Side
{
    /// <summary>Whether too many numbers are below a quantile of the profile.</summary>
    Below,

    /// <summary>Whether too many are above one.</summary>
    Above,
}

/// <summary>
/// Tests, after every request, whether a number is distributed as in a profile. It counts how many requests are beyond quantiles of the
/// profile, at both ends.
/// </summary>
/// <remarks>
/// Of n independent numbers of any distribution, let T be the k-th largest. The probability p that the next number is above T has at most
/// the distribution Beta(k, n + 1 - k): the uncertainty of a finite profile is part of the test. Under it, s of t further numbers are above
/// T with a beta-binomial probability. The statistic is the ratio to it of the same probability with p from Beta(k + c, n + 1 - k),
/// averaged over several c (alternatives with more numbers beyond T), over two quantiles and both ends. It grows with s, and if nothing has
/// changed it is a non-negative supermartingale that begins at 1. By Ville's inequality the probability that it ever reaches 1 / a is at
/// most a, whenever one looks.
/// </remarks>
internal sealed class ExceedanceTest
{
    // By how much the log odds of being beyond the quantile grow under each alternative.
    private static readonly double[] Shifts = [0.5, 1, 2, 3, 5];
    private static readonly double[] Levels = [0.1, 0.5];

    private readonly Tail[] _tails;

    /// <param name="normal">The profile of the number; it has at least one.</param>
    public ExceedanceTest(QuantileSketch normal) =>
        _tails = [.. Levels.SelectMany(level => new[] { new Tail(normal, Side.Below, level), new Tail(normal, Side.Above, level) })];

    /// <summary>Adds a number.</summary>
    /// <returns>The statistic.</returns>
    public double Add(double value)
    {
        foreach (var tail in _tails) tail.Add(value);
        return _tails.Sum(tail => tail.Statistic) / _tails.Length;
    }

    /// <summary>Begins anew.</summary>
    public void Restart()
    {
        foreach (var tail in _tails) tail.Restart();
    }

    /// <summary>What has changed most, for a sentence: "40 of 52 are below 1.5, as 10 % of the profile".</summary>
    public string Finding
    {
        get
        {
            var most = _tails.MaxBy(tail => tail.Statistic)!;
            return FormattableString.Invariant(
                $"{most.Beyond} of {most.Seen} are {(most.Side == Side.Below ? "below" : "above")} {most.Threshold:0.###}, as at most ")
                + FormattableString.Invariant($"{100 * most.Normal:0.#} % of the profile");
        }
    }

    /// <summary>One quantile at one end.</summary>
    private sealed class Tail
    {
        private readonly double _beyond, _within;
        private readonly double[] _more;
        private readonly double[] _logs;

        public Tail(QuantileSketch normal, Side side, double level)
        {
            Side = side;
            var at = normal.At(side == Side.Below ? level : 1 - level);
            Threshold = at.Value;
            // The rank of a sketch is known within bounds: the one with more numbers beyond makes the test more cautious.
            var rank = side == Side.Below ? at.HighestRank : normal.Count + 1 - at.LowestRank;
            (_beyond, _within) = (rank, normal.Count + 1 - rank);
            Normal = rank / (double)normal.Count;
            var odds = Math.Log(_beyond / _within);
            _more = [.. Shifts.Select(shift => _within * Math.Exp(odds + shift) - _beyond)];
            _logs = new double[_more.Length];
        }

        public Side Side { get; }

        public double Threshold { get; }

        /// <summary>Share of the profile that is at the threshold or beyond it.</summary>
        public double Normal { get; }

        public long Seen { get; private set; }

        public long Beyond { get; private set; }

        public double Statistic => _logs.Sum(Math.Exp) / _logs.Length;

        public void Add(double value)
        {
            var beyond = Side == Side.Below ? value < Threshold : value > Threshold;
            for (var i = 0; i < _more.Length; i++)
            {
                // The next number is beyond with probability (k + s) / (n + 1 + t), and with c more of it under the alternative.
                _logs[i] += Math.Log((_beyond + _within + Seen) / (_beyond + _within + _more[i] + Seen));
                if (beyond) _logs[i] += Math.Log((_beyond + _more[i] + Beyond) / (_beyond + Beyond));
            }
            Seen++;
            if (beyond) Beyond++;
        }

        public void Restart()
        {
            Array.Clear(_logs);
            (Seen, Beyond) = (0, 0);
        }
    }
}
