using System.CommandLine;
using System.Globalization;
using AnchorScope.Metrics;
using AnchorScope.Prompts;
using AnchorScope.Studies;

namespace AnchorScope.Cli;

/// <summary>The options of a diagnosis that change numbers: definitions, sizes, samples.</summary>
internal sealed class DiagnosisSettings
{
    private readonly Option<string?> _model =
        new("--model") { Description = "folder of the checkpoint (default: the bundled organism)", HelpName = "DIR" };
    private readonly Option<string?> _data = new("--data")
        { Description = "folder of the conflict sets, or one .jsonl, which is split into a ranking and a test half (default: "
            + "the bundled ones)", HelpName = "DIR|FILE" };
    private readonly Option<int?> _limit =
        new Option<int?>("--limit") { Description = "at most N samples of each set", HelpName = "N" }.AtLeast(1);
    private readonly Option<ulong> _seed =
        new("--seed") { Description = "seed of bootstrap and random controls", DefaultValueFactory = _ => 0UL, HelpName = "S" };
    private readonly Option<string> _preset = new("--preset")
        { Description = $"named definitions: {string.Join(", ", Definitions.Presets.Keys)}",
            DefaultValueFactory = _ => "default", HelpName = "NAME" };
    private readonly Option<string?> _nssd = Choice<NssdVariant>("--nssd", "definition of I_NSSD");
    private readonly Option<string?> _lens = Choice<LensNorm>("--lens-norm", "norm of the logit lens");
    private readonly Option<string?> _entities = Choice<EntityReduction>("--entity-reduction",
        "how the token forms of an answer are combined");
    private readonly Option<string?> _score = Choice<HeadScoreVariant>("--head-score", "score that ranks the heads");
    private readonly Option<string?> _screen = Choice<HeadScreen>("--screen", "how the scores of heads are computed");
    private readonly Option<string?> _route = Choice<RouteMeasure>("--route", "measure that distinguishes relay from direct reading");
    private readonly Option<string?> _scope = Choice<GainScope>("--gain-scope", "positions at which heads are scaled");
    private readonly Option<string?> _ablation = Choice<AblationVariant>("--ablation",
        "what replaces removed heads and edges");
    private readonly Option<string?> _alignment = Choice<SpanAlignment>("--alignment",
        "how positions of the donor run are matched with those of the recipient run");
    private readonly Option<string?> _rounding = Choice<TopRounding>("--top-rounding", "how a share of the heads is rounded to a count");
    private readonly Option<string?> _instruction = new("--instruction-span")
        { Description = "parts of the prompt that count as instruction, joined by +", HelpName = "instruction|instruction+question|…" };
    private readonly Option<int?> _topK =
        new Option<int?>("--top-k") { Description = "K of TopK aggregation over instruction positions", HelpName = "K" }.AtLeast(1);
    private readonly Option<int?> _window =
        new Option<int?>("--window") { Description = "layers of a knockout window", HelpName = "N" }.AtLeast(1);
    private readonly Option<string?> _windows =
        new("--windows") { Description = "window sizes of the sensitivity check (1,3,5,7)", HelpName = "LIST" };
    private readonly Option<string?> _shares = new("--shares") { Description = "shares of the heads that are blocked "
        + "(0.01,0.02,0.05,0.1); 5 % is always included", HelpName = "LIST" };
    private readonly Option<string?> _gains = new("--gains") { Description = "amplification factors (1.25,1.5,2,3,4)", HelpName = "LIST" };
    private readonly Option<int?> _draws = new Option<int?>("--draws")
        { Description = $"random head sets of each kind of the size of the best 5 % (79); "
            + $"at most {HeadPlan.FewDraws} of other sizes", HelpName = "N" }.AtLeast(0);
    private readonly Option<double?> _margin = new("--equivalence-margin") { Description = "a change of MFR counts as absent if its whole "
        + "interval is closer to 0 than X (0.05)", HelpName = "X" };
    private readonly Option<int?> _tokens = new Option<int?>("--answer-tokens")
        { Description = "tokens generated for an answer (default: limit of generation_config.json, at most 16)", HelpName = "N" }
        .AtLeast(1);
    private readonly Option<int> _threads = Counts.Threads();

    private readonly Option<string?> _direction =
        new("--direction") { Description = "directions.safetensors of ascope steer: the steered model is diagnosed", HelpName = "FILE" };
    private readonly Option<string?> _directionName =
        new("--direction-name") { Description = "which direction of the file", HelpName = "NAME" };
    private readonly Option<double?> _strength = new("--strength")
        { Description = "strength of the direction in every run: above 0 towards the picture, below 0 towards the text", HelpName = "X" };

    private readonly Option<bool> _beyond =
        new("--beyond-bounds") { Description = "accept a strength outside the bounds found in validation" };

    public IReadOnlyList<Option> Options =>
    [
        _model, _data, _limit, _seed, _preset, _nssd, _lens, _entities, _score, _screen, _route, _scope, _ablation, _alignment, _rounding,
            _instruction, _topK, _window, _windows, _shares, _gains, _draws, _margin, _tokens, _direction, _directionName,
            _strength, _beyond, _threads,
    ];

    /// <summary>The options that also apply to a study of directions.</summary>
    public IReadOnlyList<Option> SteeringOptions =>
        [_model, _data, _limit, _seed, _entities, _alignment, _instruction, _gains, _margin, _threads];

    public bool NamesModel(ParseResult parsed) => parsed.GetValue(_model) is not null;

    public DiagnosisOptions Read(ParseResult parsed)
    {
        var defaults =
            new DiagnosisOptions { Model = parsed.GetValue(_model) ?? Bundled.Model, Data = parsed.GetValue(_data) ?? Bundled.Data };
        var options = defaults with
        {
            Limit = parsed.GetValue(_limit),
            Seed = parsed.GetValue(_seed),
            Variants = Named(parsed),
            Windows = parsed.GetValue(_windows) is { } windows
                ? [.. Numbers("--windows", windows, 1, 1 << 20).Select(w => (int)w).Order()] : defaults.Windows,
            Shares = parsed.GetValue(_shares) is { } shares ? [.. Numbers("--shares", shares, 0, 0.5).Order()] : defaults.Shares,
            Gains = parsed.GetValue(_gains) is { } gains ? [.. Numbers("--gains", gains, 0, 1e6).Order()] : defaults.Gains,
            Draws = parsed.GetValue(_draws) ?? defaults.Draws,
            EquivalenceMargin = parsed.GetValue(_margin) ?? defaults.EquivalenceMargin,
            AnswerTokens = parsed.GetValue(_tokens),
            Steering = Steering(parsed),
            Command = CommandLine.Typed,
            Threads = parsed.GetValue(_threads),
        };
        options.Validate(NameOf);
        return options;
    }

    private SteeringUse? Steering(ParseResult parsed) =>
        (parsed.GetValue(_direction), parsed.GetValue(_directionName), parsed.GetValue(_strength)) switch
        {
            (null, null, null) =>
                parsed.GetValue(_beyond) ? throw new InputException("--beyond-bounds: expected a --direction beside it, found none") : null,
            ({ } file, { } name, { } strength) => new SteeringUse(file, name, strength, parsed.GetValue(_beyond)),
            _ => throw new InputException("--direction, --direction-name and --strength: expected all three or none, found some"),
        };

    /// <summary>The option that sets a member of the options or of the definitions.</summary>
    private string NameOf(string member) => member switch
    {
        nameof(DiagnosisOptions.Limit) => _limit.Name,
        nameof(DiagnosisOptions.Windows) => _windows.Name,
        nameof(DiagnosisOptions.Shares) => _shares.Name,
        nameof(DiagnosisOptions.Gains) => _gains.Name,
        nameof(DiagnosisOptions.Draws) => _draws.Name,
        nameof(DiagnosisOptions.EquivalenceMargin) => _margin.Name,
        nameof(DiagnosisOptions.AnswerTokens) => _tokens.Name,
        nameof(DiagnosisOptions.Threads) => _threads.Name,
        nameof(Definitions.Screen) => _screen.Name,
        nameof(Definitions.HeadScore) => _score.Name,
        nameof(Definitions.Ablation) => _ablation.Name,
        _ => throw new ArgumentOutOfRangeException(nameof(member), member, "no option sets it"),
    };

    private Definitions Named(ParseResult parsed)
    {
        var preset = Definitions.Of(parsed.GetValue(_preset) ?? "default");
        var chosen = preset with
        {
            Nssd = Value(_nssd, parsed, preset.Nssd),
            Lens = Value(_lens, parsed, preset.Lens),
            Entities = Value(_entities, parsed, preset.Entities),
            HeadScore = Value(_score, parsed, preset.HeadScore),
            Screen = Value(_screen, parsed, preset.Screen),
            Route = Value(_route, parsed, preset.Route),
            Scope = Value(_scope, parsed, preset.Scope),
            Ablation = Value(_ablation, parsed, preset.Ablation),
            Alignment = Value(_alignment, parsed, preset.Alignment),
            Rounding = Value(_rounding, parsed, preset.Rounding),
            TopK = parsed.GetValue(_topK) ?? preset.TopK,
            Window = parsed.GetValue(_window) ?? preset.Window,
            Instruction = parsed.GetValue(_instruction) is { } spans
                ? [.. spans.Split('+').Select(s => EnumName.Parse<SpanKind>("--instruction-span", s))] : preset.Instruction,
        };
        return chosen.Named.SequenceEqual(preset.Named) ? preset : chosen with { Preset = preset.Preset + ", changed" };
    }

    private static Option<string?> Choice<T>(string name, string description)
        where T : struct, Enum =>
        new(name) { Description = $"{description}: {string.Join(", ", Enum.GetValues<T>().Select(EnumName.Of))}", HelpName = "NAME" };

    private static T Value<T>(Option<string?> option, ParseResult parsed, T otherwise)
        where T : struct, Enum =>
        parsed.GetValue(option) is { } name ? EnumName.Parse<T>(option.Name, name) : otherwise;

    internal static List<double> Numbers(string option, string list, double above, double most)
    {
        var numbers = new List<double>();
        foreach (var item in list.Split(',', StringSplitOptions.TrimEntries))
        {
            if (!double.TryParse(item, NumberStyles.Float, CultureInfo.InvariantCulture, out var number)
                || !(number >= above && number <= most && number > 0))
                throw new InputException($"{option}: expected numbers {(above == 0 ? "above 0 and" : $"from {above}")} up to {most} joined "
                    + $"by commas, found {item}");
            numbers.Add(number);
        }
        return [.. numbers.Distinct()];
    }
}
