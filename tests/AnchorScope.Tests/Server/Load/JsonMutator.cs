using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace AnchorScope.Tests.Server.Load;

/// <summary>Changes a JSON text at random: types, sizes, names, nesting, duplicates, bytes.</summary>
internal sealed class JsonMutator(SplitMix random)
{
    private const string Mark = "mutation:";

    /// <summary>Values of every kind, as JSON text: right types with wrong values, wrong types, and what is no JSON.</summary>
    private static readonly string[] Values =
    [
        "null", "true", "false", "0", "-0", "-1", "1", "0.5", "1e2", "1e999", "-1e999", "1e-999", "2147483648", "-2147483649", "4294967296",
        "9007199254740993", "18446744073709551615", "99999999999999999999", "01", "0x10", "NaN", "Infinity", "+1", "1.", "\"\"", "\" \"",
        "\"0\"", "[]", "{}", "[null]", "[[]]", "{\"\": 1}", "{\"a\": 1, \"a\": 2}", "{\"a\": 1,}", "// x", "'x'", "\"\\ud800\"",
        "\"\\udc00\\ud800\"", "\"\\u0000\"", "\"\\ufeff\"", "\"\\u202e\\u2066x\"", "\"\\ud83d\\udc68\\u200d\\ud83d\\udc69\"", "\"\\x\"",
        "\"a\\", "\"<image>\"", "\"<s></s><pad>\"", "\"{{ messages }}{% for x in y %}\"", "\"data:image/png;base64,iVBORw0KGgo=\"",
        "\"data:,\"", "\"data:image/png;base64,\"", "\"http://169.254.169.254/latest\"", "\"file:///etc/passwd\"", "\"../../etc/passwd\"",
    ];

    private static readonly string[] Names =
    [
        "model", "messages", "prompt", "max_tokens", "max_completion_tokens", "temperature", "top_p", "seed", "stop", "n", "stream",
        "stream_options", "logprobs", "top_logprobs", "response_format", "tools", "functions", "metadata", "store", "anchorscope", "follow",
        "interventions", "spans", "answers", "report", "kind", "set", "heads", "layers", "factor", "at", "from", "to", "add", "message",
        "part", "role", "content", "type", "text", "image_url", "url", "value", "reason", "seconds", "", "__proto__", "$schema", "a\u0000b",
    ];

    /// <summary>A few changes of a text, and sometimes of its bytes.</summary>
    public byte[] Mutated(string text)
    {
        var root = JsonNode.Parse(text);
        var raw = new List<string>();
        for (var change = random.Below(4); change >= 0 && root is not null; change--) root = Changed(root, raw);
        var written = root?.ToJsonString() ?? "null";
        // Text that is no JSON cannot be a node: it stands for a marked string.
        for (var i = 0; i < raw.Count; i++)
            written = written.Replace(string.Create(CultureInfo.InvariantCulture, $"\"{Mark}{i};\""), raw[i], StringComparison.Ordinal);
        var bytes = Encoding.UTF8.GetBytes(written);
        return random.Below(5) == 0 ? Damaged(bytes) : bytes;
    }

    /// <summary>Bytes changed, taken out, repeated, cut off, or too many.</summary>
    public byte[] Damaged(byte[] bytes)
    {
        var list = bytes.ToList();
        for (var change = random.Below(4); change >= 0 && list.Count > 0; change--)
        {
            var at = random.Below(list.Count);
            switch (random.Below(6))
            {
                case 0:
                    list[at] = (byte)random.Below(256);
                    break;
                case 1:
                    list[at] ^= (byte)(1 << random.Below(8));
                    break;
                case 2:
                    list.RemoveRange(at, Math.Min(1 + random.Below(9), list.Count - at));
                    break;
                case 3:
                    list.InsertRange(at, [.. list.Take(1 + random.Below(Math.Min(20, list.Count)))]);
                    break;
                case 4:
                    list.RemoveRange(at, list.Count - at);
                    break;
                default:
                    list.AddRange(Encoding.UTF8.GetBytes(Values[random.Below(Values.Length)]));
                    break;
            }
        }
        return [.. list];
    }

    private JsonNode? Changed(JsonNode root, List<string> raw)
    {
        var places = new List<(JsonNode Parent, string? Name, int Index)>();
        Collect(root, places);
        if (places.Count == 0) return Raw(raw, Values[random.Below(Values.Length)]);
        var (parent, name, index) = places[random.Below(places.Count)];
        var old = name is null ? parent[index] : parent[name];
        switch (random.Below(10))
        {
            case 0:
                Remove(parent, name, index);
                break;
            case 1 when parent is JsonObject members:
                members.Remove(name!);
                members[Names[random.Below(Names.Length)]] = old;
                break;
            case 2 when parent is JsonObject members:
                members[Names[random.Below(Names.Length)]] = Raw(raw, Values[random.Below(Values.Length)]);
                break;
            case 3:
                // The same member twice, with the same value or another one.
                Put(parent, name, index, Raw(raw, $"{{\"a\": 1, \"a\": {old?.ToJsonString() ?? "null"}}}"));
                break;
            case 4:
                Put(parent, name, index, Raw(raw, Nested()));
                break;
            case 5:
                Put(parent, name, index, Long());
                break;
            case 6:
                var (other, otherName, otherIndex) = places[random.Below(places.Count)];
                Put(parent, name, index, (otherName is null ? other[otherIndex] : other[otherName])?.DeepClone());
                break;
            case 7 when parent is JsonArray items && items.Count < 200:
                for (var i = random.Below(6); i >= 0; i--) items.Add(old?.DeepClone());
                break;
            default:
                Put(parent, name, index, Raw(raw, Values[random.Below(Values.Length)]));
                break;
        }
        return root;
    }

    private string Nested()
    {
        var depth = 1 + random.Below(200);
        return random.Below(2) == 0 ? new string('[', depth) + new string(']', depth)
            : string.Concat(Enumerable.Repeat("{\"a\":", depth)) + "1" + new string('}', depth);
    }

    private string Long() => random.Below(3) switch
    {
        0 => new string('a', 1 << random.Below(18)),
        1 => string.Concat(Enumerable.Repeat("star on night ", 1 + random.Below(400))),
        _ => string.Concat(Enumerable.Range(0, 1 + random.Below(300)).Select(_ => (char)(1 + random.Below(0xD7FF)))),
    };

    private static JsonValue Raw(List<string> raw, string text)
    {
        raw.Add(text);
        return JsonValue.Create(string.Create(CultureInfo.InvariantCulture, $"{Mark}{raw.Count - 1};"));
    }

    private static void Put(JsonNode parent, string? name, int index, JsonNode? value)
    {
        if (name is null) parent[index] = value;
        else parent[name] = value;
    }

    private static void Remove(JsonNode parent, string? name, int index)
    {
        if (name is null) parent.AsArray().RemoveAt(index);
        else parent.AsObject().Remove(name);
    }

    private static void Collect(JsonNode node, List<(JsonNode Parent, string? Name, int Index)> places)
    {
        if (node is JsonObject members)
        {
            foreach (var (name, value) in members)
            {
                places.Add((node, name, 0));
                if (value is not null) Collect(value, places);
            }
        }
        else if (node is JsonArray items)
        {
            for (var i = 0; i < items.Count; i++)
            {
                places.Add((node, null, i));
                if (items[i] is { } value) Collect(value, places);
            }
        }
    }
}
