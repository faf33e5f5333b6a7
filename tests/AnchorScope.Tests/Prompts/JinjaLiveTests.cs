using System.Diagnostics;
using System.Text.Json;

namespace AnchorScope.Tests.Prompts;

/// <summary>
/// Templates put together at random, rendered by Jinja2 itself where Python has it; <see cref="JinjaGoldenTests"/> needs no Python.
/// </summary>
public sealed class JinjaLiveTests
{
    // The environment of the reference's chat templates.
    private const string Program = """
        import json, sys
        from jinja2.sandbox import ImmutableSandboxedEnvironment
        import jinja2.ext
        env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols])
        env.filters["tojson"] = lambda x, ensure_ascii=False, indent=None, separators=None, sort_keys=False: json.dumps(
            x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
        messages = [{"role": "system", "content": "  Be brief. "},
                    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is\n this? \U0001F642\u00e9"}]},
                    {"role": "assistant", "content": [{"type": "text", "text": "A dog."}]}]
        rows = []
        for template in json.loads(sys.stdin.buffer.read().decode()):
            try:
                rows.append({"t": template, "o": env.from_string(template).render(messages=json.loads(json.dumps(messages)), add_generation_prompt=True, bos_token="<s>")})
            except Exception as e:
                rows.append({"t": template, "e": type(e).__name__ + ": " + str(e)})
        sys.stdout.buffer.write(json.dumps(rows).encode())
        """;

    private static readonly string[] Values =
    [
        "1", "0", "-3", "2.5", "7", "true", "none", "x", "''", "'aBc dE'", "'ß ﬁ ΑΣ'", "'a,b,,c'", "'🙂é x'", "' x\\ty\\n'", "[3, 1, 2]",
            "['b', 'A', 'c']", "[]", "(1, 'a')",
        "{'b': 1, 'A': 2}", "messages[0].role", "messages[1].content[1].text", "messages", "messages[0].content", "range(4)",
            "add_generation_prompt",
    ];

    private static readonly string[] Filters =
    [
        "upper", "lower", "title", "capitalize", "trim", "length", "list", "first", "last", "reverse", "sort", "unique", "string", "tojson",
            "join('-')", "default('d')",
        "int", "float", "abs", "round", "map('string')", "select", "batch(2)", "slice(2)", "min", "max", "replace('a', 'X')", "indent(2)",
            "dictsort", "items", "sum", "center(9)",
    ];

    private static readonly string[] Methods =
    [
        ".upper()", ".lower()", ".title()", ".strip()", ".split()", ".split(',')", ".rsplit(',', 1)", ".splitlines()", ".partition(',')",
            ".find('b')", ".count('a')", ".startswith('a')",
        ".replace('a', '')", ".isupper()", ".swapcase()", ".zfill(8)", "[1:]", "[::-1]", "[0]", "[-1]", ".keys()|list", ".get('b')",
            ".index('a')", ".casefold()", ".isdigit()",
    ];

    private static readonly string[] Operators =
        ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", ">=", "in", "not in", "and", "or"];

    private static readonly string[] Tags =
    [
        "{% if x %}", "{% if true %}", "{%- if true -%}", "{% else %}", "{%- else -%}", "{% endif %}", "{%- endif -%}", "{% endif -%}",
            "{% for i in [1, 2] %}", "{%- for i in [1, 2] -%}",
        "{% endfor %}", "{%- endfor %}", "{{ 1 }}", "{{- 1 }}", "{{ 1 -}}", "{# c #}", "{#- c -#}", "{% set x = 1 %}", "{%- set x = 1 -%}",
            "{%+ set x = 1 +%}", "{% raw %}", "{% endraw %}",
        "{% break %}", "{{ loop.index }}", "{% filter upper %}", "{% endfilter %}", "{% set y %}", "{% endset %}", "{{ y }}",
    ];

    private static readonly string[] Texts = ["", "", "\n", " ", "  ", "\t", "\n  ", "  \n", "\n\n", "\n\t", "a", "b ", " c", "\r\n",
        "\u00a0", "\u2028"];

    [PythonFact]
    public void EveryTemplate_RendersAsThere_OrIsRefused()
    {
        var random = new Random(20261130);
        string[] templates = [.. Enumerable.Range(0, 1500).Select(_ => "{{ " + Expression(random, 2) + " }}"),
            .. Enumerable.Range(0, 1500).Select(_ => Page(random))];
        using var rows = JsonDocument.Parse(Python.Run(Program, JsonSerializer.Serialize(templates)));
        Assert.Equal(templates.Length, rows.RootElement.GetArrayLength());
        var (wrong, _) = JinjaGoldens.Differences(rows.RootElement.EnumerateArray());
        if (wrong.Count > 0) Assert.Fail(string.Join('\n', wrong));
        Assert.InRange(rows.RootElement.EnumerateArray().Count(row => row.TryGetProperty("o", out _)), 700, templates.Length);
    }

    private static string Expression(Random random, int depth)
    {
        var value = Values[random.Next(Values.Length)];
        for (var steps = random.Next(3); steps > 0; steps--)
        {
            value = random.Next(depth > 0 ? 4 : 2) switch
            {
                0 => $"{value}|{Filters[random.Next(Filters.Length)]}",
                1 => $"({value}){Methods[random.Next(Methods.Length)]}",
                2 => $"({value} {Operators[random.Next(Operators.Length)]} {Expression(random, depth - 1)})",
                _ => $"({value} if {Expression(random, depth - 1)} else {Expression(random, depth - 1)})",
            };
        }
        return value;
    }

    private static string Page(Random random) =>
        string.Concat(Enumerable.Range(0, random.Next(2, 9)).Select(_ =>
            Texts[random.Next(Texts.Length)] + Tags[random.Next(Tags.Length)])) + Texts[random.Next(Texts.Length)];
}

/// <summary>Python 3 with Jinja2, where the machine has it.</summary>
internal static class Python
{
    private static readonly Lazy<string?> Why = new(() =>
    {
        try
        {
            return Run("import jinja2; print(jinja2.__version__)", "").StartsWith("3.1", StringComparison.Ordinal) ? null
                : "Python's jinja2 is not 3.1";
        }
        catch (Exception e) when (e is InvalidOperationException or System.ComponentModel.Win32Exception)
        {
            return "python3 with jinja2 is not here";
        }
    });

    /// <summary>Why it is not there, or null.</summary>
    public static string? Missing => Why.Value;

    public static string Run(string program, string input)
    {
        using var process = Process.Start(new ProcessStartInfo("python3", ["-c", program])
        {
            UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
            StandardInputEncoding = new System.Text.UTF8Encoding(false), StandardOutputEncoding = System.Text.Encoding.UTF8,
        })!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        process.StandardInput.Write(input);
        process.StandardInput.Close();
        process.WaitForExit();
        return process.ExitCode == 0 ? output.Result : throw new InvalidOperationException(error.Result);
    }
}

/// <summary>A test beside Python's Jinja2, skipped with the reason where there is none.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class PythonFactAttribute : FactAttribute
{
    public PythonFactAttribute() => Skip = Python.Missing;
}
