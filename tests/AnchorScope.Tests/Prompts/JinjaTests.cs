using AnchorScope.Prompts;

namespace AnchorScope.Tests.Prompts;

/// <summary>
/// The template language. Expected texts were rendered by Jinja2 3.1.6 with trim_blocks and lstrip_blocks, as the reference does.
/// </summary>
public sealed class JinjaTests
{
    private static readonly ChatMessage[] Messages =
    [
        new("system", [new TextPart("  Be brief. ")]),
        new("user", [new ImagePart(), new TextPart("What is\n this? 🙂é")]),
        new("assistant", [new TextPart("A dog.")]),
    ];

    private static readonly Dictionary<string, string> SpecialTokens = new(StringComparer.Ordinal) { ["bos_token"] = "<s>" };

    [Theory]
    [InlineData("{{ 'a' if 0 else 'b' if 0 else 'c' }}{{ 'x' + 2 ~ 3 * 4 }}{{ 1 < 2 < 3 }}{{ 'a' ~ (1 + 1) }}{{ -2|abs }}{{ 2 * 'ab' }}",
        "cx212Truea22abab")]
    [InlineData("{{ 7//-2 }} {{ -7 % 3 }} {{ 3/2 }} {{ 2.0 * 3 }} {{ 1e3 }} {{ 1.5e-7 }} {{ 7 // 2.0 }} {{ -2 }}",
        "-4 2 1.5 6.0 1000.0 1.5e-07 3.0 -2")]
    [InlineData("{{ none }}{{ true }}{{ False }}{{ nothing }}{{ 'no' if false }}|", "NoneTrueFalse|")]
    [InlineData("{{ \"a\" \"b\" 'c\\n\\x41\\u00e9\\q\\\\\\'' }}", "abc\nAé\\q\\'")]
    [InlineData("{{ not 1 is odd }}{{ 5 is divisibleby 5 }}{{ 'a' is eq 'a' }}{{ 'x' is in ['x'] }}{{ 'b' not in 'abc' }}{{ 1 in [true] }}",
        "FalseTrueTrueTrueFalseTrue")]
    [InlineData("{{ x is defined }}{{ none is none }}{{ 'a' is string }}{{ {} is mapping }}{{ 'a' is iterable }}{{ 1.5 is number }}{{ true "
        + "is boolean }}{{ 4 is even }}", "FalseTrueTrueTrueTrueTrueTrueTrue")]
    [InlineData("{{ messages[1].content[1].text[5:9] }}|{{ messages[1].content[1].text|length }}|{{ messages[1].content[1].text[-2:] }}",
        "is\n |17|🙂é")]
    [InlineData("{{ [1,2,3,4,5][1:4:2]|tojson }}{{ 'abc'[::-1] }}{{ [1,2,3][-1] }}{{ 'abc'[5] }}{{ 'abc'[1] }}{{ [1,2,3][5:] | length }}",
        "[2, 4]cba3b0")]
    [InlineData("{{ {'a': {'b': 1}}.a.b }}{{ {'items': 3}['items'] }}{{ {'k': 1}.get('k') }}{{ {'k': 1}.get('z', 9) }}{{ {}.get('z') }}",
        "1319None")]
    [InlineData("{{ ' a b  c '.split()|tojson }}{{ 'a,b,c'.split(',', 1)|tojson }}{{ ' x '.strip() }}{{ 'xax'.lstrip('x') }}{{ "
        + "'xax'.rstrip('x') }}", "[\"a\", \"b\", \"c\"][\"a\", \"b,c\"]xaxxa")]
    [InlineData("{{ 'AbC'.upper() }}{{ 'AbC'|lower }}{{ 'hello WORLD'|capitalize }}{{ \"it's {a-b (c\"|title }}{{ \"it's ok\".title() }}{{ "
        + "'aXbX'.replace('X', 'yy') }}", "ABCabcHello worldIt's {A-B (CIt'S Okayybyy")]
    [InlineData("{{ 'abc'.startswith('ab') }}{{ 'abc'.endswith(('x', 'c')) }}{{ ','.join(['a', 'b']) }}{{ 'abcb'.find('b') }}{{ "
        + "'abcb'.count('b') }}", "TrueTruea,b12")]
    [InlineData("{{ [1,2]|join('-') }}{{ messages|map(attribute='role')|join(' ') }}{{ [[1,2],[3]]|map('length')|list|tojson }}{{ "
        + "[1,0,2]|select|list|tojson }}", "1-2system user assistant[2, 1][1, 2]")]
    [InlineData("{{ messages|selectattr('role','equalto','user')|list|length }}{{ "
        + "messages|rejectattr('role','in',['user'])|map(attribute='role')|list|tojson }}", "1[\"system\", \"assistant\"]")]
    [InlineData("{{ x|default('d') }}{{ ''|default('e', true) }}{{ '5'|int + 1 }}{{ 'q'|int(3) }}{{ '2.5'|float }}{{ [3,1]|first }}{{ "
        + "[3,1]|last }}{{ 5|string + '!' }}", "de632.5315!")]
    [InlineData("{{ {'a': [1, 2.0, none, true, 'é\"\\n']}|tojson }}", "{\"a\": [1, 2.0, null, true, \"é\\\"\\n\"]}")]
    [InlineData("{{ {'a': [1], 'b': {}}|tojson(indent=2) }}", "{\n  \"a\": [\n    1\n  ],\n  \"b\": {}\n}")]
    public void Expressions(string template, string expected) => Assert.Equal(expected, Render(template));

    [Theory]
    [InlineData("{% for m in messages %}{{ loop.index }}{{ loop.first }}{{ loop.last }}{{ loop.revindex0 }};{% endfor %}",
        "1TrueFalse2;2FalseFalse1;3FalseTrue0;")]
    [InlineData("{% for a, b in [[1,2],[3,4]] if a > 1 %}{{ a + b }}{{ loop.length }}{% endfor %}{% for x in [] %}{% else "
        + "%}empty{% endfor %}", "71empty")]
    [InlineData("{% for i in range(10) %}{% if i == 1 %}{% continue %}{% endif %}{% if i > 3 %}{% break %}{% endif %}{{ i }}{% endfor %}",
        "023")]
    [InlineData("{% set x = 1 %}{% for i in range(3) %}{% set x = x + 1 %}{{ x }}{% endfor %}{{ x }}", "2221")]
    [InlineData("{% set ns = namespace(a=1) %}{% for i in range(3) %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }}", "4")]
    [InlineData("{% set a, b = 1, 'x' %}{{ a }}{{ b }}{% set t %} q {% endset %}[{{ t|trim }}]", "1x[q]")]
    [InlineData("{% if x is defined and x %}A{% elif messages %}B{% else %}C{% endif %}", "B")]
    [InlineData("{% macro f(x, y='d') -%}\n  [{{ x }}|{{ y }}]\n{%- endmacro %}{{ f('a') }}{{ f('a', y='b') }}{{ f(y='c')|upper }}",
        "[a|d][a|b][|C]")]
    [InlineData("{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}={{ v }};{% endfor %}{% for k in {'z': 1} %}{{ k }}{% endfor %}",
        "a=1;b=2;z")]
    [InlineData("{% generation %} a {% endgeneration %}\n b", " a  b")]
    [InlineData("{{ bos_token }}{{ add_generation_prompt }}{{ tools is none }}{{ strftime_now is defined }}", "<s>TrueTrueTrue")]
    public void Statements(string template, string expected) => Assert.Equal(expected, Render(template));

    [Theory]
    [InlineData("a\n  {% if true %}\nb\n  {% endif %}\nc\n", "a\nb\nc")]
    [InlineData("a\n  {{ 1 }}\nb\n\n", "a\n  1\nb\n")]
    [InlineData("a \n {{- 1 -}} \n b", "a1b")]
    [InlineData("a \n {%- if true -%} \n b {%- endif %} c", "ab c")]
    [InlineData("  {%+ if true +%}\nb{% endif %}", "  \nb")]
    [InlineData("a\n  {# note #}\nb {# x -#} \n c", "a\nb c")]
    [InlineData("a\r\nb{% if true %}\r\nc{% endif %}", "a\nbc")]
    [InlineData("{{ '}}' }}{{ {'a': {'b': 1}}['a']['b'] }}{{ '%}' }}{ { {", "}}1%}{ { {")]
    [InlineData("{%- for m in messages -%}\n    {%- if m.role == \"user\" %}\n        {{- \"<u>\" -}}\n    {% endif %}\n    {%+ if true %} "
        + "keep {% endif +%}\n    x\n{% endfor -%}\n   end\n",
        "     keep \n    x\n<u>     keep \n    x\n     keep \n    x\nend")]
    public void WhiteSpace_IsTrimmedAsChatTemplatesAre(string template, string expected) => Assert.Equal(expected, Render(template));

    [Theory]
    [InlineData("a\n{% include 'x' %}", "line 2: the tag 'include' is not expected here or not supported")]
    [InlineData("\n\n{{ 'a'|wordwrap }}", "line 3: the filter 'wordwrap' is not supported")]
    [InlineData("{{ 1 is prime }}", "the test 'prime' is not supported")]
    [InlineData("{{ 'a'.format(1) }}", "a string has no method 'format' here")]
    [InlineData("{{ '%s' % 1 }}", "'%' is not supported between a string and an integer")]
    [InlineData("{{ 'a' + 1 }}", "'+' is not supported between a string and an integer")]
    [InlineData("{{ x.y }}", "'x' is undefined")]
    [InlineData("{{ messages[0].foo.bar }}", "'dict object' has no attribute 'foo'")]
    [InlineData("{{ x() }}", "'x', which is undefined, cannot be called")]
    [InlineData("{{ strftime_now('%Q') }}", "strftime_now: %Q is not supported; supported are %a %A")]
    [InlineData("{{ [1] < {} }}", "a list and a dictionary have no order")]
    [InlineData("{{ 2 ** 64 }}", "outside 64 bits")]
    [InlineData("{{ {'items': 3}.items }}", "the method 'items' as a value is not supported; an item of this name is ['items']")]
    [InlineData("{{ range(100001) }}", "100001 numbers, more than the 100000 that the reference allows")]
    [InlineData("{{ cycler('a') }}", "'cycler' is not supported")]
    [InlineData("{{ self }}", "'self' is not supported")]
    [InlineData("{% macro f() %}x{% endmacro %}{{ f(1) }}", "f: takes at most 0 arguments, not 1")]
    [InlineData("{% macro f() %}x{% endmacro %}{% call f() %}y{% endcall %}", "f: the argument 'caller' is not supported")]
    [InlineData("{% call 1 %}y{% endcall %}", "a call block needs a call")]
    [InlineData("{{ ', '.join([1]) }}", "item 0 is to be a string, not an integer")]
    [InlineData("{{ [1, 'a'] | sort }}", "a string and an integer have no order")]
    [InlineData("{{ raise_exception('roles must alternate') }}", "the template refuses these messages: roles must alternate")]
    [InlineData("{{ 'a'.strip(sep=1) }}", "the argument 'sep' is not supported")]
    [InlineData("{{ 'a'.upper(1) }}", "takes at most 0 arguments, not 1")]
    [InlineData("{{ 1 // 0 }}", "division by zero")]
    [InlineData("{{ 9223372036854775807 + 1 }}", "outside 64 bits")]
    [InlineData("{% if true %}", "the block that starts here has no elif or else or endif")]
    [InlineData("{% endif %}", "the tag 'endif' is not expected here")]
    [InlineData("{% raw %}a", "the tag raw has no endraw")]
    [InlineData("{% break %}", "the tag 'break' is not expected here")]
    [InlineData("{{ 'a }}", "a string is not closed")]
    [InlineData("{{ 1 ", "a tag is not closed with }}")]
    [InlineData("{# a", "this comment is not closed")]
    [InlineData("{{ (1 }}", "unexpected '}'")]
    [InlineData("{{ }}", "expected an expression, found the end of the tag")]
    [InlineData("{% set messages.x = 1 %}", "members can only be set of a namespace")]
    [InlineData("{% set a, b = [1] %}", "2 names for 1 values")]
    [InlineData("{{ ? }}", "unexpected character '?'")]
    public void WhatIsNotSupported_IsNamedWithItsLine(string template, string expected)
    {
        var error = Assert.Throws<InputException>(() => Render(template));
        Assert.StartsWith("t.jinja: template line ", error.Message, StringComparison.Ordinal);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Theory]
    [InlineData("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}")]
    [InlineData("{% for a in range(2000000000) %}{% endfor %}")]
    [InlineData("{% set ns = namespace(x='ab') %}{% for a in range(100) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}")]
    [InlineData("{% set ns = namespace(x=[1]) %}{% for a in range(100) %}{% set ns.x = ns.x + ns.x %}{% endfor %}")]
    [InlineData("{{ 'a' * 1000000000000 }}")]
    [InlineData("{{ [1] * 1000000000000 }}")]
    [InlineData("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}")]
    [InlineData("{% set x = 'ab' * 1000000 %}{% for a in range(100000) %}{{ x|upper|length }}{{ x[1] }}{{ 'zz' in x }}{% endfor %}")]
    [InlineData("{% set x = 'a' * 8000000 %}{% for a in range(1000) %}{{ x }}{% endfor %}")]
    public void RunningAway_IsStopped(string template) => Assert.Throws<InputException>(() => Render(template));

    [Theory]
    [InlineData("(", ")")]
    [InlineData("not ", "")]
    [InlineData("1+", "")]
    public void DeepNesting_IsStopped(string open, string close)
    {
        var template = "{{ " + string.Concat(Enumerable.Repeat(open, 200_000))
            + "1" + string.Concat(Enumerable.Repeat(close, 200_000)) + " }}";
        Assert.Contains("nested too deeply", Assert.Throws<InputException>(() => Render(template)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{{ ns.x == ns.y }}")]
    [InlineData("{{ ns.x | tojson }}")]
    public void DeepValues_AreStopped(string use) => Assert.Contains("nested too deeply", Assert.Throws<InputException>(() => Render(
        "{% set ns = namespace(x=1, y=1) %}{% for i in range(100000) %}{% set ns.x = [ns.x] %}{% set ns.y = [ns.y] %}{% endfor %}" + use))
        .Message, StringComparison.Ordinal);

    [Fact]
    public void DeepBlocks_AreStopped() => Assert.Throws<InputException>(
        () => Render(string.Concat(Enumerable.Repeat("{% if 1 %}", 200_000)) + string.Concat(Enumerable.Repeat("{% endif %}", 200_000))));

    [Theory]
    [InlineData("llava15", "chat_template.json")]
    [InlineData("qwen25vl", "chat_template.json")]
    public void DamagedTemplate_GivesAnErrorOrWorks(string folder, string file)
    {
        using var json = System.Text.Json.JsonDocument.Parse(File.ReadAllText(Fixtures.Path(folder, file)));
        var source = json.RootElement.GetProperty("chat_template").GetString()!;
        const string junk = "{}%#'\"()[]|.,~-+ *x1\n";
        var random = new Random(11);
        var refused = 0;
        for (var trial = 0; trial < 500; trial++)
        {
            var damaged = source;
            for (var i = 0; i < 3; i++)
            {
                var at = random.Next(damaged.Length);
                damaged = random.Next(2) == 0 ? damaged.Remove(at, 1) : damaged.Insert(at, junk[random.Next(junk.Length)].ToString());
            }
            try
            {
                Render(damaged);
            }
            catch (InputException)
            {
                refused++;
            }
        }
        Assert.InRange(refused, 50, 499);
    }

    private static string Render(string template) => new ChatTemplate(template, "t.jinja", SpecialTokens).Render(Messages).Text;
}
