using System.Text.Json;

namespace AnchorScope.Tests.Server.Load;

/// <summary>Requests as clients of every kind send them, drawn at random.</summary>
internal sealed class Traffic(SplitMix random)
{
    private static readonly string[] Pictures = ["test-0001", "test-0002", "test-0003", "test-0004"];

    private static readonly string[] Texts =
        ["what colour is it ?", "note : one purple star on night . what colour is it ? ", "one star", "trust the picture", "star on night"];

    private static readonly string[] Parts =
        ["image", "text_context", "question", "instruction", "constraint", "system", "suffix", "last"];

    /// <summary>A chat about a picture, with the members that matter for its kind.</summary>
    public Dictionary<string, object?> Chat()
    {
        var chat = RunningServer.Chat(RunningServer.Picture(Pictures[random.Below(Pictures.Length)]), Texts[1],
            random.Below(2) == 0 ? "trust the picture" : "trust the note");
        Sample(chat);
        return chat;
    }

    /// <summary>A chat without a picture, of one or more messages.</summary>
    public Dictionary<string, object?> Words()
    {
        var messages = new List<object>();
        if (random.Below(2) == 0) messages.Add(new { role = "system", content = Texts[random.Below(Texts.Length)] });
        messages.Add(new { role = "user", content = Texts[random.Below(Texts.Length)] });
        if (random.Below(3) == 0)
        {
            messages.Add(new { role = "assistant", content = "red" });
            messages.Add(new { role = "user", content = new object[] { new { type = "text", text = Texts[random.Below(Texts.Length)] } } });
        }
        var chat = new Dictionary<string, object?> { ["model"] = "relay", ["messages"] = messages };
        Sample(chat);
        return chat;
    }

    /// <summary>A text to continue.</summary>
    public Dictionary<string, object?> Completion(int words = 0)
    {
        var text = words == 0 ? Texts[random.Below(Texts.Length)]
            : string.Join(' ', Enumerable.Range(0, words).Select(_ => random.Below(2) == 0 ? "star" : "night"));
        var completion = new Dictionary<string, object?> { ["model"] = "relay", ["prompt"] = text };
        Sample(completion);
        return completion;
    }

    /// <summary>The member <c>anchorscope</c>: spans, interventions, answers, knobs; often one that is refused.</summary>
    public object Steering()
    {
        var steering = new Dictionary<string, object?>();
        if (random.Below(2) == 0) steering["interventions"] = Enumerable.Range(0, 1 + random.Below(3)).Select(_ => Edit()).ToArray();
        if (random.Below(3) == 0) steering["spans"] = Enumerable.Range(0, 1 + random.Below(2)).Select(_ => Span()).ToArray();
        if (random.Below(3) == 0)
        {
            steering["answers"] = new { vision = Colours(), text = Colours() };
            if (random.Below(3) > 0) steering["report"] = new[] { "decision", "margins", "heads" }[..(1 + random.Below(3))];
        }
        switch (random.Below(6))
        {
            case 0:
                steering["follow"] = false;
                break;
            case 1:
                steering["follow"] = new { modality = random.Below(2) == 0 ? "vision" : "text", strength = Number() };
                break;
            case 2:
                steering["follow"] = new Dictionary<string, double> { ["arbitration"] = Number(), ["direction"] = Number() };
                break;
        }
        return steering;
    }

    /// <summary>The body of a turn of a knob, mostly within its bounds.</summary>
    public object Turn() => new { value = 0.5 + random.Below(16) / 10.0, reason = "load", seconds = 1 + random.Below(5) };

    private object Edit() => random.Below(4) switch
    {
        0 => new { kind = "head_gain", set = "arbiters", factor = Number() },
        1 => new { kind = "head_gain", heads = Heads(), factor = Number(), at = Part() },
        2 => new { kind = "edge_cut", from = Part(), to = Part(), layers = Layers() },
        _ => new { kind = "edge_boost", from = Part(), to = Part(), add = Number(), heads = new[] { random.Below(9) } },
    };

    private object Span() => new
    {
        message = random.Below(3), part = random.Below(4), from = random.Below(30), to = random.Below(60), kind = Part(),
    };

    private int[][] Heads() => [.. Enumerable.Range(0, 1 + random.Below(5)).Select(_ => new[] { random.Below(9), random.Below(9) })];

    private int[] Layers() => [.. Enumerable.Range(0, 1 + random.Below(3)).Select(_ => random.Below(9))];

    private string Part() => Parts[random.Below(Parts.Length)];

    private double Number() => random.Below(4) == 0 ? random.Below(10) - 5 : random.Below(20) / 10.0;

    private string[] Colours() => [.. Enumerable.Range(0, 1 + random.Below(2)).Select(_ => random.Below(3) switch
    {
        0 => "red",
        1 => "green",
        _ => "purple",
    })];

    private void Sample(Dictionary<string, object?> request)
    {
        request["max_tokens"] = 1 + random.Below(8);
        if (random.Below(3) == 0) request["temperature"] = random.Below(20) / 10.0;
        if (random.Below(4) == 0) request["n"] = 1 + random.Below(3);
        if (random.Below(4) == 0) request["seed"] = random.Below(1000);
        if (random.Below(4) == 0) request["stop"] = new[] { "red", "e" };
        if (random.Below(3) == 0) request["stream"] = true;
    }

    /// <summary>As a body.</summary>
    public static string Json(object body) => JsonSerializer.Serialize(body);
}
