using System.Threading.Channels;
using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Prompts;

namespace AnchorScope.Extensions.AI;

/// <summary>An answer that is computed: by the thread of <see cref="SharedPasses"/>, for the caller who reads its pieces.</summary>
internal sealed class RunningAnswer : IDisposable
{
    private readonly Channel<string> _pieces = Channel.CreateUnbounded<string>(
        new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
    private readonly VisionLanguageModel _model;
    private readonly ChatRequest _request;
    private readonly Prompt _prompt;
    private readonly Intervention _intervention;
    private readonly AnswerEntities? _answers;
    private readonly AnswerText _text;
    private readonly int _tokens;
    private readonly CancellationToken _cancel;
    private AnswerDecision? _decision;
    private volatile bool _abandoned;

    /// <exception cref="InputException">The prompt is too long, or the intervention or the named answers do not fit it.</exception>
    public RunningAnswer(VisionLanguageModel model, ChatRequest request, Prompt prompt, CancellationToken cancel)
    {
        (_model, _request, _prompt, _cancel) = (model, request, prompt, cancel);
        _intervention = request.Steering.Intervention?.Invoke(prompt) ?? Intervention.None;
        _text = new AnswerText(model.Tokenizer, request.Stops);
        var length = model.AnswerLength(prompt);
        _tokens = request.Tokens ?? length.Usual;
        if (length.Most < 1 || _tokens > length.Most)
            throw new InputException(
                $"the prompt has {prompt.RotaryLength} positions and {request.Tokens ?? 1} generated tokens come after "
                    + $"it; the model was made for {model.Engine.MaximumPositions}");
        _intervention.Validate(model.Engine.Shape, prompt.Length, _tokens - 1);
        if (request.Steering.VisionAnswers.Count == 0 && request.Steering.TextAnswers.Count == 0) return;
        _answers = AnswerEntities.Of(request.Steering.VisionAnswers, request.Steering.TextAnswers, conflict: true, model.Tokenizer,
            out var reason);
        if (_answers is not { CompetingForms.Count: > 0 })
            throw InputException.At("options", "VisionAnswers and TextAnswers", "two answers whose first tokens differ",
                reason.Length > 0 ? reason : "one of them only");
    }

    /// <summary>The text, as it becomes final. It ends when the answer has ended, with an error if it failed.</summary>
    public ChannelReader<string> Pieces => _pieces.Reader;

    /// <summary>The sequence; null until <see cref="Begin"/>.</summary>
    public Sequence? Sequence { get; private set; }

    /// <summary>Why it ended; null: it has not.</summary>
    public FinishReason? Finished => _text.Stopped ? FinishReason.Stop : Sequence?.Finished;

    /// <summary>Whether nobody waits for it any more.</summary>
    public bool IsGiven => _abandoned || _cancel.IsCancellationRequested;

    /// <summary>What it was computed from, once it has ended.</summary>
    public ModelAnswer Answer => new()
    {
        Prompt = _prompt,
        Intervention = _intervention,
        Sampling = _request.Sampling,
        Tokens = [.. Sequence!.Tokens],
        Logits = [.. Sequence.Logits],
        Decision = _decision,
    };

    /// <summary>The caller reads no further.</summary>
    public void Abandon() => _abandoned = true;

    /// <summary>Starts it.</summary>
    public void Begin(ISession session) => Sequence = new Sequence(session, _prompt, new SequenceOptions(_tokens)
    {
        Intervention = _intervention,
        Sampling = _request.Sampling,
        Rules = _model.Rules,
        Stop = _model.StopTokens,
        KeepLogits = _request.Steering.KeepLogits,
        Chosen = Take,
    });

    /// <summary>Ends it for the caller.</summary>
    /// <param name="error">Why it failed; null: it did not.</param>
    public void End(Exception? error) => _pieces.Writer.TryComplete(error);

    /// <inheritdoc/>
    public void Dispose() => Sequence?.Dispose();

    private void Take(int token, ReadOnlySpan<float> logits)
    {
        if (_answers is not null) _decision ??= Decide(_answers, logits);
        // A stop token ends the text and is not part of it.
        var text = Sequence!.Finished == FinishReason.Stop ? "" : _text.Add(token);
        if (_text.Stopped) Sequence.End();
        if (Sequence.Finished is not null) text += _text.End();
        if (text.Length > 0) _pieces.Writer.TryWrite(text);
    }

    private static AnswerDecision Decide(AnswerEntities answers, ReadOnlySpan<float> logits)
    {
        var likeliest = 0;
        for (var i = 1; i < logits.Length; i++)
        {
            if (logits[i] > logits[likeliest]) likeliest = i;
        }
        return new AnswerDecision(
            answers.FollowingForms.Contains(likeliest) ? "vision" : answers.CompetingForms.Contains(likeliest) ? "text" : "neither",
            Largest(answers.FollowingForms, logits) - Largest(answers.CompetingForms, logits));
    }

    private static double Largest(IReadOnlyList<int> tokens, ReadOnlySpan<float> logits)
    {
        var largest = double.NegativeInfinity;
        foreach (var token in tokens) largest = Math.Max(largest, logits[token]);
        return largest;
    }
}
