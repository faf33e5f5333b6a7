using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using AnchorScope.Checkpoints;
using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Server.Api;
using AnchorScope.Server.Audit;
using AnchorScope.Server.Monitoring;
using AnchorScope.Server.Policies;
using AnchorScope.Server.Scheduling;

namespace AnchorScope.Server;

/// <summary>A default that the server applied, because the request left it out.</summary>
/// <param name="Value">As a JSON number.</param>
/// <param name="Source">Where it is from.</param>
internal sealed record AppliedDefault(string Name, double Value, string Source);

/// <summary>A request that is ready to run.</summary>
internal sealed record PreparedRequest
{
    public required ApiRequest Request { get; init; }

    public required Job Job { get; init; }

    public required SteeringPlan Steering { get; init; }

    public required IReadOnlyList<AppliedDefault> Defaults { get; init; }

    public required IReadOnlyList<RequestPicture> Pictures { get; init; }

    /// <summary>SHA-256 of the pixel values after resizing, as little-endian float32; empty without pictures.</summary>
    public required string PixelsSha256 { get; init; }

    /// <summary>Reads the decision; null: not asked for.</summary>
    public required DecisionReading? Reading { get; init; }

    /// <summary>Names weights, engine and changes: equal ones give equal answers to equal requests.</summary>
    public required string SystemFingerprint { get; init; }
}

/// <summary>The model that is served: makes jobs from requests, and runs them.</summary>
internal sealed class ServedModel : IDisposable
{
    private readonly VisionLanguageModel _model;
    private readonly ISession _vision;
    // Pictures are decoded, resized and encoded for one request at a time, beside the passes of the scheduler. Requests without pictures
    // do not wait for them.
    private readonly SemaphoreSlim _seeing = new(1);

    public ServedModel(
        VisionLanguageModel model, string name, SchedulerOptions options, Policy policy, TimeProvider time, PictureReader? pictures = null)
    {
        Pictures = pictures ?? new PictureReader(null);
        Knobs = new KnobBoard(policy, time);
        (_model, Name, Policy) = (model, name, policy);
        _vision = model.OpenSession(new SessionOptions { Threads = options.Threads });
        Scheduler = new Scheduler(model.Engine, options);
        Pieces = new TokenPieces(model.Tokenizer);
    }

    /// <summary>The name of the model in requests.</summary>
    public string Name { get; }

    public Policy Policy { get; }

    public Scheduler Scheduler { get; }

    /// <summary>Reads the pictures of requests.</summary>
    public PictureReader Pictures { get; }

    /// <summary>The knobs of the policy.</summary>
    public KnobBoard Knobs { get; }

    public VisionLanguageModel Model => _model;

    /// <summary>Spells the tokens of answers.</summary>
    public TokenPieces Pieces { get; }
    /// <summary>Whether the monitor wants the next request with named answers.</summary>
    public Func<bool> Watches { get; set; } = () => false;

    /// <summary>Makes a job of a request: decodes pictures, runs the vision tower, renders, tokenises, builds the edits.</summary>
    /// <exception cref="ApiException">The request is wrong, or not allowed.</exception>
    public async Task<PreparedRequest> Prepare(ApiRequest request, string tenant, CancellationToken cancel)
    {
        if (request.Model != Name)
            throw new ApiException(404, $"model: expected {Name}, found {request.Model}", "model", "model_not_found");
        try
        {
            var pictures = await Pictures.Read(request.Pictures, cancel);
            var seen = pictures.Count == 0 ? null : await See(request, pictures, cancel);
            return await Task.Run(() => PrepareNow(request, tenant, pictures, seen), cancel);
        }
        catch (InputException e)
        {
            throw ApiException.Wrong(e);
        }
    }

    /// <summary>Pictures as the model sees them.</summary>
    /// <param name="Features">Image features [image token, d_model].</param>
    private sealed record SeenPictures(PixelValues Pixels, float[] Features);

    private async Task<SeenPictures> See(ApiRequest request, IReadOnlyList<RequestPicture> pictures, CancellationToken cancel)
    {
        await _seeing.WaitAsync(cancel);
        try
        {
            return await Task.Run(() =>
            {
                var pixels = _model.Preprocess([.. pictures.Select(Pictures.Decode)]);
                // Before the tower runs: pictures that the context cannot hold are not encoded.
                if (_model.Engine.MaximumPositions is { } most && _model.Measure(request.Messages, pixels).Positions is var length
                    && length > most)
                    throw TooLong(request, length);
                return new SeenPictures(pixels, _vision.Features(pixels));
            }, cancel);
        }
        finally
        {
            _seeing.Release();
        }
    }

    private PreparedRequest PrepareNow(ApiRequest request, string tenant, IReadOnlyList<RequestPicture> pictures, SeenPictures? seen)
    {
        var prompt = request.Text is { } text ? _model.Prompt(text) : Chat(request, seen);
        var steering = SteeringPlan.Of(request.Steering, Policy, Knobs, _model.Engine, prompt);
        var (sampling, defaults) = SamplingOf(request);
        var tokens = TokensOf(request, prompt, defaults);
        var reading = ReadingOf(request.Steering, prompt);
        return new PreparedRequest
        {
            Request = request,
            Steering = steering,
            Defaults = defaults,
            Pictures = pictures,
            PixelsSha256 = seen is null ? "" : RequestRecord.Hash(MemoryMarshal.AsBytes(seen.Pixels.Values.AsSpan())),
            Reading = reading,
            SystemFingerprint = FingerprintOf(steering),
            Job = new Job
            {
                Prompt = prompt,
                Intervention = steering.Intervention,
                Answers = [.. Enumerable.Range(0, request.Answers).Select(i => sampling.Temperature > 0
                    ? sampling with { Seed = unchecked(sampling.Seed + (ulong)i) } : sampling)],
                Tokens = tokens,
                Stop = _model.StopTokens,
                Rules = _model.Rules,
                Likeliest = request.Likeliest,
                Tenant = tenant,
                Sites = reading?.Sites ?? [],
                Positions = reading?.Positions ?? [],
                Recorded = reading is null ? null : reading.Read,
                Texts = [.. Enumerable.Range(0, request.Answers).Select(_ => new AnswerText(_model.Tokenizer, request.Stop))],
            },
        };
    }

    /// <summary>What is read of a request that names its two answers.</summary>
    private DecisionReading? ReadingOf(SteeringRequest steering, Prompt prompt)
    {
        if (steering.VisionAnswers.Count == 0) return null;
        foreach (var (side, words) in new[] { ("vision", steering.VisionAnswers), ("text", steering.TextAnswers) })
        {
            if (words.FirstOrDefault(word => !IsKnown(word)) is { } word)
                throw InputException.At("request", $"anchorscope.answers.{side}", "words of the model's vocabulary",
                    $"{Quoted.Line(word)}, which begins with the unknown token "
                        + $"{_model.Tokenizer.TokenText(_model.Tokenizer.UnknownId!.Value)}");
        }
        var answers = AnswerEntities.Of(steering.VisionAnswers, steering.TextAnswers, conflict: true, _model.Tokenizer, out var reason)
            ?? throw InputException.At("request", "anchorscope.answers", "two answers whose first tokens differ", reason);
        var (shape, watched) = (_model.Engine.Shape, Watches());
        IReadOnlyList<(int, int)> heads = (watched || steering.Report.Contains("heads")) && Policy.HeadSets.Count > 0 ? Policy.WatchedHeads
            : !steering.Report.Contains("heads") ? []
            : [.. Enumerable.Range(0, shape.Layers).SelectMany(layer => Enumerable.Range(0, shape.Heads).Select(head => (layer, head)))];
        return new DecisionReading(_model, prompt, answers, new ReadingScope(heads, watched));
    }

    /// <summary>Whether the tokenizer has a token for how a word begins: otherwise the decision would be about any unknown word.</summary>
    private bool IsKnown(string word) => _model.Tokenizer.UnknownId is not { } unknown
        || _model.Tokenizer.Encode(word.Trim(), addSpecial: false).FirstOrDefault(token => token.End > token.Start).Id != unknown;

    private Prompt Chat(ApiRequest request, SeenPictures? seen)
    {
        var named = request.Steering.Spans.Any(span => span.Kind == SpanKind.Instruction);
        var messages = ChatMessage.WithUsualKinds(request.Messages, instruction: !named);
        TextLabel[] labels = [.. request.Steering.Spans.Select(span => Label(span, request.Messages))];
        return _model.Prompt(messages, seen?.Pixels, seen?.Features, labels);
    }

    private static TextLabel Label(RequestedSpan span, IReadOnlyList<ChatMessage> messages)
    {
        if (span.Message >= messages.Count)
            throw InputException.At("request", $"{span.Place}.message", $"0 to {messages.Count - 1}", $"{span.Message}");
        var content = messages[span.Message].Content;
        if (span.Part >= content.Count || content[span.Part] is not TextPart text)
            throw InputException.At("request", $"{span.Place}.part", "a text part of the message", $"{span.Part}");
        return span.To <= text.Text.Length ? new TextLabel(span.Message, span.Part, span.From, span.To - span.From, span.Kind)
            : throw InputException.At("request", $"{span.Place}.to", $"at most {text.Text.Length}, the length of the text", $"{span.To}");
    }

    private (Sampling Sampling, List<AppliedDefault> Defaults) SamplingOf(ApiRequest request)
    {
        var (settings, defaults) = (_model.SamplingDefaults, new List<AppliedDefault>());
        double Default(string name, double value, string source)
        {
            defaults.Add(new AppliedDefault(name, value, source));
            return value;
        }
        var temperature = request.Temperature ?? Default("temperature", settings.Temperature, settings.Source);
        if (temperature == 0)
        {
            return request.TopP is > 0 and < 1
                ? throw InputException.At("request", "top_p", "a temperature above 0 beside it, as the likeliest token is always chosen",
                    request.TopP.Value.ToString(CultureInfo.InvariantCulture))
                : (Sampling.Greedy, defaults);
        }
        var topP = request.TopP ?? Default("top_p", settings.TopP, settings.Source);
        var topK = settings.TopK > 0 ? (int)Default("top_k", settings.TopK, settings.Source) : 0;
        // Without a seed every request draws anew; the seed is in the response, so that the answer can be drawn again.
        var seed = request.Seed ?? (ulong)Default("seed", RandomNumberGenerator.GetInt32(int.MaxValue), "random");
        return (new Sampling(temperature, topK, topP, seed), defaults);
    }

    private int TokensOf(ApiRequest request, Prompt prompt, List<AppliedDefault> defaults)
    {
        var length = _model.AnswerLength(prompt);
        if (request.MaxTokens is { } asked && asked <= length.Most) return asked;
        if (length.Most < 1 || request.MaxTokens is not null) throw TooLong(request, prompt.RotaryLength);
        defaults.Add(new AppliedDefault("max_tokens", length.Usual, length.Source ?? "server"));
        return length.Usual;
    }

    private ApiException TooLong(ApiRequest request, int positions) => new(400,
        $"the prompt has {positions} positions and {request.MaxTokens ?? 1} generated tokens come after it; the model was made for "
            + $"{_model.Engine.MaximumPositions}", request.IsChat ? "messages" : "prompt", "context_length_exceeded");

    private string FingerprintOf(SteeringPlan steering)
    {
        var identity = _model.Checkpoint.Identity;
        var text = string.Join('\n', [identity.Weights, .. identity.Files.Select(f => f.Key + " " + f.Value), _model.Engine.Numerics,
            steering.Fingerprint]);
        return "fp_" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..16];
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Scheduler.Dispose();
        _vision.Dispose();
        _seeing.Dispose();
    }
}
