using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using AnchorScope.Checkpoints;

namespace AnchorScope.Prompts.Tokenization;

/// <summary>
/// Converts SentencePiece's tokenizer.model (BPE with byte fallback) to the equivalent tokenizer.json, as transformers' conversion for
/// Llama does. The merges are all splits of a piece into two pieces, ordered by the score of the merged piece.
/// </summary>
internal static class SentencePieceFile
{
    private const int Bpe = 2;
    private const string Mark = "\u2581";

    private static readonly string[] Supported = ["LlamaTokenizer", "LlamaTokenizerFast", "InternLM2Tokenizer", "InternLM2TokenizerFast"];

    private enum PieceType
    {
        Normal = 1,
        Unknown,
        Control,
        UserDefined,
        Unused,
        Byte,
    }

    /// <summary>Path of the file in a checkpoint.</summary>
    public static string PathIn(string folder) => Path.Combine(folder, "tokenizer.model");

    /// <summary>tokenizer.json as UTF-8.</summary>
    /// <exception cref="InputException">A file is malformed, or of a kind whose conversion is not known.</exception>
    public static byte[] ToTokenizerJson(string folder)
    {
        var file = PathIn(folder);
        var model = Model.Read(file);
        var configFile = Path.Combine(folder, "tokenizer_config.json");
        JsonField? config = File.Exists(configFile) ? JsonField.Read(configFile) : null;
        if (config?.Find("tokenizer_class") is { } type && !Supported.Contains(type.Text()))
            throw type.Unsupported($"classes with tokenizer.model: {string.Join(", ", Supported)}");
        var prefix = model.DummyPrefix && (config?.Flag("add_prefix_space", true) ?? true);
        // "legacy" inserts the mark before every text between special tokens, the later form only at the beginning.
        var legacy = config?.Flag("legacy", true) ?? true;
        var root = new JsonObject
        {
            ["added_tokens"] = Added(folder, model, config),
            ["normalizer"] = legacy
                ? Sequence("normalizers", [.. prefix ? new[] { Node("Prepend", ("prepend", Mark)) } : [], Replace(" ", Mark)]) : null,
            ["pre_tokenizer"] = legacy
                ? null : Node("Metaspace", ("replacement", Mark), ("prepend_scheme", prefix ? "first" : "never"), ("split", false)),
            ["post_processor"] = Frame(model, config),
            ["decoder"] = Sequence("decoders", [Replace(Mark, " "), Node("ByteFallback"), Node("Fuse"),
                .. prefix ? new[] { Node("Strip", ("content", " "), ("start", 1), ("stop", 0)) } : []]),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["unk_token"] = model.Pieces[model.Unknown].Text,
                ["fuse_unk"] = true,
                ["byte_fallback"] = true,
                ["vocab"] = new JsonObject(model.Pieces.Select((piece, id) => KeyValuePair.Create(piece.Text, (JsonNode?)id))),
                ["merges"] = new JsonArray([.. Merges(model).Select(m => (JsonNode)new JsonArray(m.Left, m.Right))]),
            },
        };
        return JsonSerializer.SerializeToUtf8Bytes<JsonNode>(root);
    }

    private static List<(string Left, string Right)> Merges(Model model)
    {
        var ids = model.Pieces.Select((piece, id) => (piece.Text, id)).ToDictionary(p => p.Text, p => p.id, StringComparer.Ordinal);
        var parts = ids.GetAlternateLookup<ReadOnlySpan<char>>();
        var merges = new List<(string Left, string Right, float Score, int LeftLength, int RightLength)>();
        foreach (var (text, score, _) in model.Pieces)
        {
            var splits = new List<(string Left, string Right, int LeftId, int RightId)>();
            for (var cut = 1; cut < text.Length; cut++)
            {
                if (parts.TryGetValue(text.AsSpan(0, cut), out var left) && parts.TryGetValue(text.AsSpan(cut), out var right))
                    splits.Add((model.Pieces[left].Text, model.Pieces[right].Text, left, right));
            }
            merges.AddRange(splits.OrderBy(s => s.LeftId).ThenBy(s => s.RightId)
                .Select(s => (s.Left, s.Right, score, CodePoints(s.Left), CodePoints(s.Right))));
        }
        // Highest score first, then the longer parts. The sort is stable.
        return [.. merges.OrderByDescending(m => m.Score).ThenByDescending(m => m.LeftLength).ThenByDescending(m => m.RightLength)
            .Select(m => (m.Left, m.Right))];
    }

    private static int CodePoints(string text) => text.EnumerateRunes().Count();

    /// <summary>Control and user-defined pieces, and the tokens that the checkpoint adds after the vocabulary.</summary>
    private static JsonArray Added(string folder, Model model, JsonField? config)
    {
        var tokens = new SortedDictionary<int, JsonNode>();
        for (var id = 0; id < model.Pieces.Count; id++)
        {
            var (text, _, type) = model.Pieces[id];
            if (type is PieceType.Control or PieceType.Unknown) tokens[id] = VocabularyFiles.AddedToken(id, text, special: true);
            if (type is PieceType.UserDefined) tokens[id] = VocabularyFiles.AddedToken(id, text, special: false);
        }
        var file = Path.Combine(folder, "added_tokens.json");
        if (File.Exists(file))
        {
            foreach (var (text, id) in JsonField.Read(file).Members())
                tokens[id.Integer(0, int.MaxValue)] = VocabularyFiles.AddedToken(id.Integer(0, int.MaxValue), text, special: true);
        }
        if (config is { } settings)
        {
            foreach (var token in VocabularyFiles.Added(settings)) tokens[token!["id"]!.GetValue<int>()] = token.DeepClone();
        }
        return [.. tokens.Values];
    }

    /// <summary>The special tokens at the beginning and, if requested, at the end of a text.</summary>
    private static JsonObject Frame(Model model, JsonField? config)
    {
        var (before, after) = (config?.Flag("add_bos_token", true) ?? true, config?.Flag("add_eos_token", false) ?? false);
        var tokens = new JsonObject();
        var single = new JsonArray();
        if (before) Special(model.Begin, "bos_id");
        single.Add(new JsonObject { ["Sequence"] = new JsonObject { ["id"] = "A", ["type_id"] = 0 } });
        if (after) Special(model.End, "eos_id");
        return Node("TemplateProcessing", ("single", single), ("pair", new JsonArray()), ("special_tokens", tokens));

        void Special(int id, string field)
        {
            if (id < 0 || id >= model.Pieces.Count)
                throw InputException.At(model.File, $"trainer_spec.{field}", $"an id below {model.Pieces.Count}",
                    id.ToString(CultureInfo.InvariantCulture));
            var text = model.Pieces[id].Text;
            single.Add(new JsonObject { ["SpecialToken"] = new JsonObject { ["id"] = text, ["type_id"] = 0 } });
            tokens[text] = new JsonObject { ["id"] = text, ["ids"] = new JsonArray(id), ["tokens"] = new JsonArray(text) };
        }
    }

    private static JsonObject Sequence(string members, params JsonNode[] steps) => Node("Sequence", (members, new JsonArray(steps)));

    private static JsonObject Replace(string from, string to) =>
        Node("Replace", ("pattern", new JsonObject { ["String"] = from }), ("content", to));

    private static JsonObject Node(string type, params (string Name, JsonNode? Value)[] members)
    {
        var node = new JsonObject { ["type"] = type };
        foreach (var (name, value) in members) node[name] = value;
        return node;
    }

    /// <summary>The content of the file.</summary>
    private sealed record Model(string File, IReadOnlyList<(string Text, float Score, PieceType Type)> Pieces, int Unknown, int Begin,
        int End, bool DummyPrefix)
    {
        public static Model Read(string file)
        {
            var pieces = new List<(string, float, PieceType)>();
            var seen = new HashSet<string>(StringComparer.Ordinal);
            var (type, fallback, unknown, begin, end) = (1, false, 0, 1, 2);
            var (prefix, spaces, escape, rules) = (true, true, true, 0);
            var reader = new ProtobufReader(file, JsonField.ReadBytes(file));
            while (reader.Next())
            {
                switch (reader.Field)
                {
                    case 1:
                        var piece = Piece(file, reader.Message(), pieces.Count);
                        if (!seen.Add(piece.Item1))
                            throw InputException.At(file, $"pieces[{pieces.Count}].piece", "every piece once", $"\"{piece.Item1}\" again");
                        pieces.Add(piece);
                        break;
                    case 2:
                        for (var trainer = reader.Message(); trainer.Next();)
                        {
                            switch (trainer.Field)
                            {
                                case 3: type = trainer.Integer(); break;
                                case 35: fallback = trainer.Flag(); break;
                                case 40: unknown = trainer.Integer(); break;
                                case 41: begin = trainer.Integer(); break;
                                case 42: end = trainer.Integer(); break;
                                default: trainer.Skip(); break;
                            }
                        }
                        break;
                    case 3:
                        for (var normalizer = reader.Message(); normalizer.Next();)
                        {
                            switch (normalizer.Field)
                            {
                                case 2: rules = normalizer.Data().Length; break;
                                case 3: prefix = normalizer.Flag(); break;
                                case 4: spaces = normalizer.Flag(); break;
                                case 5: escape = normalizer.Flag(); break;
                                default: normalizer.Skip(); break;
                            }
                        }
                        break;
                    default:
                        reader.Skip();
                        break;
                }
            }
            if (pieces.Count == 0) throw InputException.At(file, "pieces", "at least one", "none");
            if (type != Bpe)
                throw InputException.At(file, "trainer_spec.model_type", "2 (BPE)", type.ToString(CultureInfo.InvariantCulture));
            if (!fallback) throw InputException.At(file, "trainer_spec.byte_fallback", "true", "false");
            if (rules > 0) throw InputException.At(file, "normalizer_spec.precompiled_charsmap", "nothing (identity)", $"{rules} bytes");
            if (spaces) throw InputException.At(file, "normalizer_spec.remove_extra_whitespaces", "false", "true");
            if (!escape) throw InputException.At(file, "normalizer_spec.escape_whitespaces", "true", "false");
            if (unknown < 0 || unknown >= pieces.Count)
                throw InputException.At(file, "trainer_spec.unk_id", $"an id below {pieces.Count}",
                    unknown.ToString(CultureInfo.InvariantCulture));
            return new(file, pieces, unknown, begin, end, prefix);
        }

        private static (string Text, float Score, PieceType Type) Piece(string file, ProtobufReader reader, int index)
        {
            var (text, score, type) = ("", 0f, PieceType.Normal);
            while (reader.Next())
            {
                switch (reader.Field)
                {
                    case 1: text = reader.Text(); break;
                    case 2: score = reader.Single(); break;
                    case 3: type = (PieceType)reader.Integer(); break;
                    default: reader.Skip(); break;
                }
            }
            if (text.Length == 0) throw InputException.At(file, $"pieces[{index}].piece", "a text", "nothing");
            if (float.IsNaN(score)) throw InputException.At(file, $"pieces[{index}].score", "a number", "NaN");
            return Enum.IsDefined(type) ? (text, score, type)
                : throw InputException.At(file, $"pieces[{index}].type", "1 to 6", ((int)type).ToString(CultureInfo.InvariantCulture));
        }
    }
}
