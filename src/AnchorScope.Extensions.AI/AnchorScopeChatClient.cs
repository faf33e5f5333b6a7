using System.Runtime.CompilerServices;
using AnchorScope.Engines;
using AnchorScope.Models;
using Microsoft.Extensions.AI;

namespace AnchorScope.Extensions.AI;

/// <summary>
/// A model in this process as a chat client. Calls may come from several threads at once; they share passes, and each answer has the bits
/// that it has alone. A call may change the model inside (<see cref="ChatSteering"/>).
/// </summary>
/// <remarks>
/// What a call asks for and the model cannot do is a <see cref="NotSupportedException"/> that names it; an <see cref="InputException"/>
/// says what is wrong with a picture, a number or an intervention. A cancelled call has no row in the next pass.
/// </remarks>
public sealed class AnchorScopeChatClient : IChatClient
{
    private readonly VisionLanguageModel _model;
    private readonly bool _owns;
    private readonly ChatClientMetadata _metadata;
    private readonly string _name;
    private readonly SharedPasses _passes;
    private readonly ISession _vision;
    // One call at a time renders its prompt and has its pictures encoded, beside the passes.
    private readonly SemaphoreSlim _preparing = new(1);
    private int _disposed;

    /// <summary>A client of an opened model, which the caller disposes of after the client.</summary>
    /// <param name="settings">Null for the defaults.</param>
    public AnchorScopeChatClient(VisionLanguageModel model, ChatClientSettings? settings = null)
        : this(model, settings, owns: false)
    {
    }

    private AnchorScopeChatClient(VisionLanguageModel model, ChatClientSettings? settings, bool owns)
    {
        ArgumentNullException.ThrowIfNull(model);
        var valid = (settings ?? new ChatClientSettings()).Validated();
        (_model, _owns, _name) = (model, owns, valid.ModelId ?? model.Checkpoint.Name);
        _metadata = new ChatClientMetadata("anchorscope", providerUri: null, _name);
        _vision = model.OpenSession(new SessionOptions { Threads = valid.Threads });
        _passes = new SharedPasses(model.Engine, valid);
    }

    /// <summary>Opens the checkpoint in a folder. The client disposes of the model.</summary>
    /// <param name="settings">Null for the defaults.</param>
    /// <exception cref="InputException">A file is missing or wrong, or the family is unknown.</exception>
    public static AnchorScopeChatClient Open(string folder, ChatClientSettings? settings = null)
    {
        var model = VisionLanguageModel.Open(folder);
        try
        {
            return new AnchorScopeChatClient(model, settings, owns: true);
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public async Task<ChatResponse> GetResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        var updates = new List<ChatResponseUpdate>();
        await foreach (var update in GetStreamingResponseAsync(messages, options, cancellationToken).ConfigureAwait(false))
            updates.Add(update);
        return updates.ToChatResponse();
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(IEnumerable<ChatMessage> messages,
        ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(messages);
        ObjectDisposedException.ThrowIf(_disposed != 0, this);
        var answer = await Prepare(messages, options, cancellationToken).ConfigureAwait(false);
        var (id, created) = ("chatcmpl-" + Guid.NewGuid().ToString("N"), DateTimeOffset.UtcNow);
        ChatResponseUpdate Update(params IList<AIContent> contents) => new(ChatRole.Assistant, contents)
            { ResponseId = id, MessageId = id, CreatedAt = created, ModelId = _name };
        try
        {
            _passes.Submit(answer);
            await foreach (var text in answer.Pieces.ReadAllAsync(cancellationToken).ConfigureAwait(false))
                yield return Update(new TextContent(text));
            var from = answer.Answer;
            var last = Update(new UsageContent(new UsageDetails
            {
                InputTokenCount = from.Prompt.Length,
                OutputTokenCount = from.Tokens.Count,
                TotalTokenCount = from.Prompt.Length + from.Tokens.Count,
            }));
            last.FinishReason = answer.Finished == FinishReason.Length ? ChatFinishReason.Length : ChatFinishReason.Stop;
            last.AdditionalProperties = new AdditionalPropertiesDictionary { [Steering.Key] = from };
            yield return last;
        }
        finally
        {
            // Also where the caller stops to read before the end.
            answer.Abandon();
        }
    }

    /// <summary>The metadata, the model, or this client.</summary>
    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        return serviceKey is not null ? null
            : serviceType == typeof(ChatClientMetadata) ? _metadata
            : serviceType == typeof(VisionLanguageModel) ? _model
            : serviceType.IsInstanceOfType(this) ? this : null;
    }

    /// <summary>Ends the client. Calls in progress fail with <see cref="ObjectDisposedException"/>.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
        _passes.Dispose();
        // After the call that is being prepared, which uses the session.
        _preparing.Wait();
        _vision.Dispose();
        // Calls that wait for their turn learn that there is none.
        _preparing.Release();
        if (_owns) _model.Dispose();
    }

    private async Task<RunningAnswer> Prepare(IEnumerable<ChatMessage> messages, ChatOptions? options, CancellationToken cancel)
    {
        await _preparing.WaitAsync(cancel).ConfigureAwait(false);
        try
        {
            ObjectDisposedException.ThrowIf(_disposed != 0, this);
            return await Task.Run(() =>
            {
                var request = ChatRequest.Of(messages, options, _model, _name);
                var prompt = _model.Prompt(request.Messages, request.Pictures, _vision, request.Labels);
                return new RunningAnswer(_model, request, prompt, cancel);
            }, cancel).ConfigureAwait(false);
        }
        finally
        {
            _preparing.Release();
        }
    }
}
