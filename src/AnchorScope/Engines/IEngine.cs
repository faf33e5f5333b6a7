using AnchorScope.Interventions;

namespace AnchorScope.Engines;

/// <summary>
/// One model on one device. All that is above it is data: prompts, interventions, plans, rows of floats. No tensor crosses this line, so
/// prompts, planner, studies, reports and commands work on any engine. The engine that is built in is <see cref="Models.CpuEngine"/>.
/// </summary>
public interface IEngine
{
    /// <summary>What computes, in which precision, and the version of its kernels: "cpu-f32/1". Two engines of the same name give the same bits.</summary>
    string Numerics { get; }

    /// <summary>Sizes of the decoder.</summary>
    DecoderShape Shape { get; }

    /// <summary>Entries of the vocabulary.</summary>
    int VocabularySize { get; }

    /// <summary>Bytes of weights that a pass from <paramref name="layer"/> on reads, final norm and head included.</summary>
    long WeightBytes(int layer);

    /// <summary>Bytes that a recorded run of <paramref name="length"/> positions keeps if runs may start from position <paramref name="from"/> on.</summary>
    long RecordedBytes(int length, int from);

    /// <summary>Bytes of activations that a row of a pass takes at most.</summary>
    long RowBytes { get; }

    /// <summary>Opens a session: memory and threads for one user at a time.</summary>
    ISession Open(SessionOptions? options = null);
}

/// <summary>What a session works with. Nothing of it changes a bit of a result.</summary>
public sealed record SessionOptions
{
    /// <summary>Threads of one pass.</summary>
    public int Threads { get; init; } = 1;

    /// <summary>Rows of activations that memory is taken for at once; 0: memory is taken as it is needed.</summary>
    public int ReservedRows { get; init; }

    /// <summary>Ends a pass before its next product: the call then throws <see cref="OperationCanceledException"/>.</summary>
    public CancellationToken Cancel { get; init; }
}
