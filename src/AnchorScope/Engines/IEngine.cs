using AnchorScope.Interventions;

namespace AnchorScope.Engines;

/// <summary>
/// One model on one device. Its interface consists of data only (prompts, interventions, plans, rows of floats) and exposes no tensors, so
/// prompts, interventions and planner work with any engine. The built-in engine is <see cref="Models.CpuEngine"/>.
/// </summary>
public interface IEngine
{
    /// <summary>
    /// Device and precision of the computation, for instance "cpu-f32". Two engines with the same name give the same bits.
    /// </summary>
    string Numerics { get; }

    /// <summary>Sizes of the decoder.</summary>
    DecoderShape Shape { get; }

    /// <summary>Number of tokens in the vocabulary.</summary>
    int VocabularySize { get; }

    /// <summary>
    /// Maximum number of positions that the model was made for (its context length); null if its files name none. Longer prompts are
    /// refused.
    /// </summary>
    int? MaximumPositions { get; }

    /// <summary>Bytes of weights read by a pass from <paramref name="layer"/> on, including final norm and head.</summary>
    long WeightBytes(int layer);

    /// <summary>
    /// Bytes of a recorded run of <paramref name="length"/> positions from which runs may start at position <paramref name="from"/> or
    /// later.
    /// </summary>
    long RecordedBytes(int length, int from);

    /// <summary>Bytes of the keys and values of a sequence of <paramref name="positions"/> positions.</summary>
    long SequenceBytes(int positions);

    /// <summary>Maximum bytes of activations per row of a pass.</summary>
    long RowBytes { get; }

    /// <summary>Opens a session: memory and threads, for use by one thread at a time.</summary>
    /// <param name="options">Threads, memory and cancellation; null for the defaults.</param>
    ISession Open(SessionOptions? options = null);
}

/// <summary>Resources of a session. They do not change any bit of a result.</summary>
public sealed record SessionOptions
{
    /// <summary>Maximum of <see cref="Threads"/>.</summary>
    public const int MostThreads = 1024;

    /// <summary>Number of threads of one pass, 1 to <see cref="MostThreads"/>.</summary>
    public int Threads { get; init; } = 1;

    /// <summary>Bytes of activation memory to reserve at once; 0: memory is taken as it is needed.</summary>
    public long ReservedBytes { get; init; }

    /// <summary>Checks every value.</summary>
    /// <exception cref="InputException">A value is out of its range.</exception>
    internal void Validate()
    {
        if (Threads is < 1 or > MostThreads) throw new InputException($"threads: expected 1 to {MostThreads}, found {Threads}");
        if (ReservedBytes < 0) throw new InputException($"reserved bytes: expected 0 or more, found {ReservedBytes}");
    }

    /// <summary>Cancels a pass before its next matrix product. The call then throws <see cref="OperationCanceledException"/>.</summary>
    public CancellationToken Cancel { get; init; }
}
