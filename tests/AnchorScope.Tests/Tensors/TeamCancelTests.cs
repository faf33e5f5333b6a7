using AnchorScope.Tensors;

namespace AnchorScope.Tests.Tensors;

/// <summary>Cancellation within a pass: after the request no new chunk is started, whatever the number of threads.</summary>
public sealed class TeamCancelTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void NoChunkIsBegunAfterTheRequest(int threads)
    {
        using var cancel = new CancellationTokenSource();
        using var team = new Team(threads, cancel.Token);
        var (begun, after) = (0, 0);
        Assert.ThrowsAny<OperationCanceledException>(() => team.For(10_000, 1_000_000, (_, _) =>
        {
            if (cancel.IsCancellationRequested) Interlocked.Increment(ref after);
            if (Interlocked.Increment(ref begun) == 5) cancel.Cancel();
        }));
        // Chunks that other threads had taken when the request came may still run.
        Assert.InRange(begun, 5, 5 + 2 * threads);
        Assert.InRange(after, 0, 2 * threads);
        Assert.ThrowsAny<OperationCanceledException>(() => team.For(1, 1, (_, _) => { }));
    }
}
