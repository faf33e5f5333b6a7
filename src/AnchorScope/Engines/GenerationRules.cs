using System.Text.Json;
using AnchorScope.Checkpoints;

namespace AnchorScope.Engines;

/// <summary>
/// The rules of generation_config.json about the next token (penalties, forbidden and forced tokens), applied as in the reference library
/// before the arg-max or sampling. Rules that are not supported are listed by <see cref="NotApplied"/>.
/// </summary>
public sealed class GenerationRules
{
    private const float Never = float.NegativeInfinity;

    /// <summary>
    /// Keys that change the text and are not applied; whether a value has no effect; whether the key is used for sampling only.
    /// </summary>
    private static readonly (string Key, Func<JsonElement, bool> Neutral, bool Sampling)[] Others =
    [
        ("guidance_scale", v => Is(v, 1), false), ("encoder_repetition_penalty", v => Is(v, 1), false),
            ("encoder_no_repeat_ngram_size", v => Is(v, 0), false),
        ("num_beams", v => Is(v, 1), false), ("num_beam_groups", v => Is(v, 1), false), ("num_return_sequences", v => Is(v, 1), false),
        ("diversity_penalty", v => Is(v, 0), false), ("penalty_alpha", v => Is(v, 0), false), ("dola_layers", _ => false, false),
            ("constraints", Empty, false),
        ("force_words_ids", Empty, false), ("forced_decoder_ids", Empty, false), ("stop_strings", Empty, false),
            ("watermarking_config", _ => false, false),
        ("max_time", _ => false, false), ("token_healing", v => v.ValueKind == JsonValueKind.False, false), ("top_h", _ => false, true),
            ("min_p", v => Is(v, 0), true),
        ("typical_p", v => Is(v, 1), true), ("epsilon_cutoff", v => Is(v, 0), true), ("eta_cutoff", v => Is(v, 0), true),
    ];

    private readonly List<Rule> _rules = [];
    private readonly List<(string Key, bool Sampling)> _others = [];
    private readonly string _file = "";

    private GenerationRules()
    {
    }

    /// <param name="config">The root of generation_config.json.</param>
    /// <param name="stop">Its eos_token_id, one or several.</param>
    /// <param name="vocabulary">Number of tokens in the model's vocabulary.</param>
    /// <exception cref="InputException">A value has the wrong type for its key, or a token is outside the vocabulary.</exception>
    internal GenerationRules(ConfigSection config, IReadOnlySet<int> stop, int vocabulary)
    {
        _file = config.File;
        // In the reference's order: a penalty after a ban would give other scores.
        foreach (var (tokens, bias) in Biases(config, vocabulary)) _rules.Add(Follows(tokens, bias));
        if (config.Number("repetition_penalty", 1) is var penalty && penalty != 1)
        {
            if (penalty <= 0) throw InputException.At(config.File, "repetition_penalty", "a number above 0", $"{penalty}");
            _rules.Add((scores, state) => Penalise(scores, state.Text, (float)penalty));
        }
        if (Count(config, "no_repeat_ngram_size") is > 0 and var size) _rules.Add((scores, state) =>
            ForbidRepeats(scores, state.Text, size));
        foreach (var tokens in TokenLists(config, "bad_words_ids", vocabulary).Where(t => t.Count > 1 || !stop.Contains(t[0]))) _rules.Add(
            Follows(tokens, Never));
        if (stop.Count > 0 && Count(config, "min_length") is > 0 and var least) _rules.Add((scores, state) =>
            ForbidIf(scores, state.Text.Count < least, stop));
        if (stop.Count > 0 && Count(config, "min_new_tokens") is > 0 and var fresh) _rules.Add((scores, state) =>
            ForbidIf(scores, state.Text.Count - state.Prompt < fresh, stop));
        var first = Tokens(config, "forced_bos_token_id", vocabulary);
        if (first.Count > 0) _rules.Add((scores, state) => ForceIf(scores, state.Text.Count == 1, first));
        if (Tokens(config, "forced_eos_token_id", vocabulary) is { Count: > 0 } end) _rules.Add((scores, state) =>
            ForceIf(scores, state.Text.Count == state.Longest - 1, end));
        if (config.Flag("remove_invalid_values", false)) _rules.Add((scores, _) => Repair(scores));
        if (config.Has("exponential_decay_length_penalty") && stop.Count > 0) _rules.Add(Decay(config, stop));
        if (Tokens(config, "suppress_tokens", null) is { Count: > 0 } never) _rules.Add((scores, _) =>
            ForbidIf(scores, true, never.Where(t => t < vocabulary)));
        if (Tokens(config, "begin_suppress_tokens", null) is { Count: > 0 } notFirst)
        {
            var beginsLater = first.Count > 0;
            _rules.Add((scores, state) => ForbidIf(
                scores, state.Text.Count == state.Prompt + (beginsLater && state.Prompt <= 1 ? 1 : 0),
                notFirst.Where(t => t < vocabulary)));
        }
        _others.AddRange(Others.Where(o => config.Has(o.Key) && !o.Neutral(config.Json.GetProperty(o.Key)))
            .Select(o => (o.Key, o.Sampling)));
    }

    private delegate void Rule(float[] scores, State state);

    /// <summary>No rules.</summary>
    public static GenerationRules None { get; } = new();

    /// <summary>Whether there are rules to apply.</summary>
    public bool Any => _rules.Count > 0;

    /// <summary>One line for each key of generation_config.json that would change the text but is not applied.</summary>
    /// <param name="sampling">Whether tokens are sampled. Some keys are used only then.</param>
    public IReadOnlyList<string> NotApplied(bool sampling) =>
        [.. _others.Where(o => sampling || !o.Sampling).Select(o => $"{_file}: {o.Key}: not applied; the text is generated without it")];

    /// <summary>The logits after all rules [vocabulary], from which the next token is chosen.</summary>
    /// <param name="logits">Logits at the last position [vocabulary].</param>
    /// <param name="text">Tokens of the prompt and of the text generated so far.</param>
    /// <param name="prompt">Number of tokens of the prompt.</param>
    /// <param name="longest">Maximum number of tokens of prompt and generated text.</param>
    public float[] Apply(ReadOnlySpan<float> logits, IReadOnlyList<int> text, int prompt, int longest)
    {
        var scores = logits.ToArray();
        var state = new State(text, prompt, longest);
        foreach (var rule in _rules) rule(scores, state);
        return scores;
    }

    private static void Penalise(float[] scores, IReadOnlyList<int> text, float penalty)
    {
        foreach (var token in text.Distinct()) scores[token] = scores[token] < 0 ? scores[token] * penalty : scores[token] / penalty;
    }

    private static void ForbidRepeats(float[] scores, IReadOnlyList<int> text, int size)
    {
        if (text.Count + 1 < size) return;
        for (var start = 0; start + size <= text.Count; start++)
        {
            var same = true;
            for (var i = 0; i < size - 1; i++) same &= text[start + i] == text[text.Count - size + 1 + i];
            if (same) scores[text[start + size - 1]] = Never;
        }
    }

    private static Rule Follows(IReadOnlyList<int> tokens, float bias) => (scores, state) =>
    {
        var before = tokens.Count - 1;
        // As in the reference, a bias for a sequence of several tokens is skipped while the text is shorter than the sequence.
        if (before > 0 && tokens.Count > state.Text.Count) return;
        for (var i = 0; i < before; i++)
        {
            if (state.Text[state.Text.Count - before + i] != tokens[i]) return;
        }
        scores[tokens[^1]] += bias;
    };

    private static void ForbidIf(float[] scores, bool condition, IEnumerable<int> tokens)
    {
        if (!condition) return;
        foreach (var token in tokens.Where(t => t >= 0 && t < scores.Length)) scores[token] = Never;
    }

    private static void ForceIf(float[] scores, bool condition, IEnumerable<int> tokens)
    {
        if (!condition) return;
        Array.Fill(scores, Never);
        foreach (var token in tokens) scores[token] = 0;
    }

    private static void Repair(float[] scores)
    {
        for (var i = 0; i < scores.Length; i++) scores[i] = float.IsNaN(scores[i]) ? 0
            : Math.Clamp(scores[i], float.MinValue, float.MaxValue);
    }

    private static Rule Decay(ConfigSection config, IReadOnlySet<int> stop)
    {
        const string Key = "exponential_decay_length_penalty";
        var numbers = config.Numbers(Key);
        if (numbers.Count != 2 || numbers[0] != Math.Floor(numbers[0])) throw InputException.At(config.File, Key,
            "a number of tokens and a factor", string.Join(", ", numbers));
        return (scores, state) =>
        {
            var beyond = state.Text.Count - state.Prompt - (int)numbers[0];
            if (beyond <= 0) return;
            var growth = (float)(Math.Pow(numbers[1], beyond) - 1);
            foreach (var token in stop.Where(t => t >= 0 && t < scores.Length)) scores[token] += Math.Abs(scores[token]) * growth;
        };
    }

    private static int Count(ConfigSection config, string key) => config.Int(key, 0) is >= 0 and var count
        ? count
        : throw InputException.At(config.File, key, "0 or a positive integer", $"{config.Int(key)}");

    /// <summary>One id or a list of ids; empty if the key is absent.</summary>
    private static IReadOnlyList<int> Tokens(ConfigSection config, string key, int? vocabulary) => !config.Has(key) ? []
        : Checked(config, key, config.Json.GetProperty(key).ValueKind == JsonValueKind.Array ? config.Ints(key) : [config.Int(key)],
            vocabulary);

    private static IEnumerable<IReadOnlyList<int>> TokenLists(ConfigSection config, string key, int vocabulary)
    {
        if (!config.Has(key)) return [];
        var lists = config.Json.GetProperty(key);
        if (lists.ValueKind != JsonValueKind.Array) throw InputException.At(config.File, key, "a list of lists of token ids",
            Quoted.Line(lists.GetRawText()));
        return [.. lists.EnumerateArray().Select(list => List(config, key, list, vocabulary))];
    }

    private static IEnumerable<(IReadOnlyList<int> Tokens, float Bias)> Biases(ConfigSection config, int vocabulary)
    {
        const string Key = "sequence_bias";
        if (!config.Has(Key)) return [];
        var pairs = config.Json.GetProperty(Key);
        return pairs.ValueKind == JsonValueKind.Array && pairs.EnumerateArray()
            .All(pair => pair.ValueKind == JsonValueKind.Array && pair.GetArrayLength() == 2 && pair[1].ValueKind == JsonValueKind.Number)
            ? [.. pairs.EnumerateArray().Select(pair => (List(config, Key, pair[0], vocabulary), (float)pair[1].GetDouble()))]
            : throw InputException.At(config.File, Key, "a list of pairs, token ids and a number", Quoted.Line(pairs.GetRawText()));
    }

    private static IReadOnlyList<int> List(ConfigSection config, string key, JsonElement json, int vocabulary) =>
        json.ValueKind == JsonValueKind.Array && json.GetArrayLength() > 0 && json.EnumerateArray()
            .All(t => t.ValueKind == JsonValueKind.Number && t.TryGetInt32(out _))
            ? Checked(config, key, [.. json.EnumerateArray().Select(t => t.GetInt32())], vocabulary)
            : throw InputException.At(config.File, key, "lists of token ids, none of them empty", Quoted.Line(json.GetRawText()));

    private static IReadOnlyList<int> Checked(ConfigSection config, string key, IReadOnlyList<int> tokens, int? vocabulary) =>
        tokens.Where(t => t < 0 || t >= (vocabulary ?? int.MaxValue)).ToList() is [var wrong, ..]
            ? throw InputException.At(config.File, key, vocabulary is { } size ? $"tokens of the vocabulary, 0 to {size - 1}"
                : "token ids", $"{wrong}")
            : tokens;

    private static bool Is(JsonElement value, double number) => value.ValueKind == JsonValueKind.Number && value.GetDouble() == number;

    private static bool Empty(JsonElement value) => value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 0;

    /// <summary>The state in which the next token is chosen.</summary>
    private sealed record State(IReadOnlyList<int> Text, int Prompt, int Longest);
}
