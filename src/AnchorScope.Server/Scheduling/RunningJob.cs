using System.Runtime.InteropServices;
using System.Security.Cryptography;
using AnchorScope.Engines;
using AnchorScope.Readouts;

namespace AnchorScope.Server.Scheduling;

/// <summary>A job that has memory: its answers as sequences. For the scheduler's thread only.</summary>
internal sealed class RunningJob : IDisposable
{
    private readonly ISession _session;
    private readonly List<Sequence> _answers = [];
    private readonly List<IncrementalHash> _hashes = [];
    private readonly TimeProvider _time;
    private readonly long _submitted;
    private readonly long _started;
    private long? _decoding;
    private ISequencePrefix? _own;

    /// <param name="reused">The kept prefix it starts from, and how many positions of it; null: it starts at the first position.</param>
    /// <param name="bytes">Memory that is reserved for it.</param>
    public RunningJob(WaitingJob waiting, ISession session, (ISequencePrefix Prefix, int Count)? reused, long bytes, TimeProvider time)
    {
        (Job, Handle, _session, _time, _submitted, Bytes) = (waiting.Job, waiting.Handle, session, time, waiting.Submitted, bytes);
        (_started, Reused) = (time.GetTimestamp(), reused?.Count ?? 0);
        Start(reused, record: true);
    }

    public Job Job { get; }

    public JobHandle Handle { get; }

    /// <summary>What the cache keeps of it; null: nothing.</summary>
    public ISequencePrefix? Kept { get; set; }

    /// <summary>Memory that is reserved for it.</summary>
    public long Bytes { get; }

    /// <summary>Positions of the prompt that were not computed.</summary>
    public int Reused { get; }

    /// <summary>The answers that have been started. The others start when the prompt of the first one is computed.</summary>
    public IReadOnlyList<Sequence> Answers => _answers;

    /// <summary>Whether the prompt of the first answer is computed.</summary>
    public bool IsPrefilled => _answers[0].Computed >= Job.Prompt.Length;

    /// <summary>Whether all answers have ended.</summary>
    public bool IsFinished => _answers.Count == Job.Answers.Count && _answers.TrueForAll(a => a.Finished is not null);

    /// <summary>The error of the first answer that failed; null if none has.</summary>
    public InputException? Error => _answers.Find(a => a.Error is not null)?.Error;

    /// <summary>Called after each pass: starts the other answers once the prompt is computed.</summary>
    /// <returns>Whether this pass completed the prompt.</returns>
    public bool Advance()
    {
        if (_decoding is not null || !IsPrefilled) return false;
        _decoding = _time.GetTimestamp();
        Job.Recorded?.Invoke(_session, _answers[0]);
        if (Job.Recorded is not null) _answers[0].Forget();
        if (Job.Answers.Count == 1 || Error is not null) return true;
        // The last position is computed again for each answer: its logits are where they part.
        var shared = Job.Prompt.Length - 1;
        _own = shared > 0 ? _answers[0].Keep(_session, shared) : null;
        while (_answers.Count < Job.Answers.Count) Start(_own is null ? null : (_own, shared), record: false);
        return true;
    }

    public JobResult Result()
    {
        var now = _time.GetTimestamp();
        var decoding = _decoding ?? now;
        return new JobResult(Reused, [.. _hashes.Select(h => h.GetCurrentHash())], _time.GetElapsedTime(_submitted, _started),
            _time.GetElapsedTime(_started, decoding), _time.GetElapsedTime(decoding, now));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var answer in _answers) answer.Dispose();
        foreach (var hash in _hashes) hash.Dispose();
        _own?.Dispose();
    }

    private void Start((ISequencePrefix Prefix, int Count)? from, bool record)
    {
        var index = _answers.Count;
        var options = new SequenceOptions(Job.Tokens)
        {
            Intervention = Job.Intervention,
            Sampling = Job.Answers[index],
            Rules = Job.Rules,
            Stop = Job.Stop,
            Chosen = (token, logits) => Take(index, token, logits),
            Sites = record ? Job.Sites : [],
            Positions = record ? Job.Positions : [],
        };
        _answers.Add(from is { } start
            ? new Sequence(_session, Job.Prompt, options, start.Prefix, start.Count)
            : new Sequence(_session, Job.Prompt, options));
        _hashes.Add(IncrementalHash.CreateHash(HashAlgorithmName.SHA256));
    }

    private void Take(int answer, int token, ReadOnlySpan<float> logits)
    {
        _hashes[answer].AppendData(MemoryMarshal.AsBytes(logits));
        var (likeliest, probability) = ((IReadOnlyList<LensToken>)[], double.NaN);
        if (Job.Likeliest is { } count)
        {
            likeliest = count == 0 ? [] : LogitLens.Top(logits, count);
            probability = LogitLens.Probability(logits, token);
        }
        var text = Job.Texts.Count == 0 ? "" : TextOf(answer, token);
        // A stop string that ends with the last token that was allowed is the reason all the same.
        var finished = Job.Texts.Count > 0 && Job.Texts[answer].Stopped ? FinishReason.Stop : _answers[answer].Finished;
        Handle.Give(new JobToken(answer, token, likeliest, probability, finished) { Text = text });
    }

    /// <summary>The text that has become final with a token. Ends the answer at a stop string.</summary>
    private string TextOf(int answer, int token)
    {
        var (text, sequence) = (Job.Texts[answer], _answers[answer]);
        // A stop token ends the text and is not part of it.
        var final = sequence.Finished == FinishReason.Stop ? "" : text.Add(token);
        if (text.Stopped && sequence.Finished is null) sequence.End();
        return sequence.Finished is null ? final : final + text.End();
    }
}
