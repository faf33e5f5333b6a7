using System.Threading.Channels;

namespace AnchorScope.Server.Scheduling;

/// <summary>A submitted job, for the one who waits for it.</summary>
internal sealed class JobHandle
{
    private readonly Channel<JobToken> _tokens = Channel.CreateUnbounded<JobToken>(
        new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
    private readonly TaskCompletionSource<JobResult> _result = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Action _wake;
    private volatile bool _cancelled;

    public JobHandle(Action wake) => _wake = wake;

    /// <summary>The tokens of all answers, as they are chosen. It ends when the job has ended, also after an error.</summary>
    public ChannelReader<JobToken> Tokens => _tokens.Reader;

    /// <summary>
    /// What the job has used, once its last token is in <see cref="Tokens"/>. It fails with <see cref="InputException"/> if no token could
    /// be chosen, <see cref="TimeoutException"/> after the deadline, and <see cref="OperationCanceledException"/> if it was cancelled.
    /// </summary>
    public Task<JobResult> Result => _result.Task;

    /// <summary>Whether nobody waits for it any more.</summary>
    public bool IsCancelled => _cancelled;

    /// <summary>Gives the job up. It has no row in the next pass.</summary>
    public void Cancel()
    {
        _cancelled = true;
        _wake();
    }

    internal void Give(JobToken token) => _tokens.Writer.TryWrite(token);

    internal void Complete(JobResult result)
    {
        _tokens.Writer.TryComplete();
        _result.TrySetResult(result);
    }

    internal void Fail(Exception error)
    {
        _tokens.Writer.TryComplete();
        if (error is OperationCanceledException) _result.TrySetCanceled();
        else _result.TrySetException(error);
        // Nobody may be waiting: then the error has been told to nobody, which is right for a client that went away.
        _ = _result.Task.Exception;
    }
}
