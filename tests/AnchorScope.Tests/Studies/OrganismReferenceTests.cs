using System.Globalization;
using System.Text.Json;
using AnchorScope.Conflicts;
using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Metrics;
using AnchorScope.Prompts;
using AnchorScope.Readouts;
using AnchorScope.Studies;
using AnchorScope.Tensors;
using AnchorScope.Tests.Models;

namespace AnchorScope.Tests.Studies;

/// <summary>Every figure that the reference library measured on the organism, against ours.</summary>
public sealed class OrganismReferenceTests(OrganismRun run) : IClassFixture<OrganismRun>
{
    /// <summary>Logits agree to about 1e-5, and so do means of thousands of them; 1e-3 also covers the rounding of the file.</summary>
    private const double Curve = 1e-3;

    [Theory]
    [InlineData("test")]
    [InlineData("hard")]
    [InlineData("rank")]
    public void LogitsAndArgmaxOfEveryRun(string set)
    {
        var runs = run.Runs(set);
        Close.AssertRelative(set, run.Arrays.ReadSingles($"{set}.logits_yp_yc"),
            [.. runs.SelectMany(r => new[] { r.Outcomes["baseline"].Following, r.Outcomes["baseline"].Competing })]);
        Assert.Equal(run.Arrays.ReadInt64s($"{set}.argmax"), runs.Select(r => (long)r.Outcomes["baseline"].ArgMax));
    }

    [Fact]
    public void PromptsOfTheFirstHundredRuns()
    {
        using var arena = new Arena();
        using var team = new Team(1);
        var compute = new Compute(arena, team);
        var model = run.Study.Model;
        var (tokens, lengths) = (run.Arrays.ReadInt64s("test.first100.token_ids"), run.Arrays.ReadInt64s("test.first100.length"));
        var (features, logits, resid) = (run.Arrays.ReadSingles("test.image_features.first4"),
            run.Arrays.ReadSingles("test.first100.last_logits"), run.Arrays.ReadSingles("test.first100.resid"));
        var (longest, width, vocabulary, layers) = (tokens.Length / 100, model.Decoder.Shape.ModelSize, model.Decoder.VocabularySize,
            model.Decoder.Shape.Layers);
        var records = run.Reference.GetProperty("first_100_runs").EnumerateArray().ToList();
        var number = 0;
        foreach (var sample in run.Study.Data.Test.Samples.Take(50))
        {
            var pixels = model.Preprocess([Picture.Load(sample.Image!)]);
            var image = model.Engine.On(compute).Features(pixels);
            if (number / 2 < 4)
                Close.AssertRelative($"features of {sample.Id}", features.AsSpan((number / 2) * 16 * width, 16 * width), image);
            foreach (var conflict in sample.Runs)
            {
                var prompt = ConflictPrompt.Build(model, conflict, run.Study.Data.Layout, pixels, image);
                Assert.Equal(tokens[(number * longest)..(number * longest + (int)lengths[number])], prompt.Tokens.Select(t => (long)t));
                foreach (var span in records[number].GetProperty("spans").EnumerateObject())
                {
                    var (start, end) = (span.Value[0].GetInt32(), span.Value[1].GetInt32());
                    var kind = Enum.GetValues<SpanKind>().First(k => EnumName.Of(k) == span.Name);
                    // The reference counts the last position as part of the suffix as well.
                    var found = kind == SpanKind.Suffix ? prompt.Union(SpanKind.Suffix, SpanKind.Last) : prompt.Span(kind);
                    Assert.Equal(Enumerable.Range(start, end - start), found);
                }
                using var baseline = model.Engine.On(compute).Record(prompt,
                    new RecordOptions { Sites = [Site.ResidPost], Positions = [prompt.Length - 1] });
                Close.AssertRelative($"logits of {conflict.Id}", logits.AsSpan(number * vocabulary, vocabulary), baseline.LastLogits);
                for (var layer = 0; layer < layers; layer++)
                    Close.AssertRelative($"residual of {conflict.Id} after layer {layer}",
                        resid.AsSpan(((layer + 1) * 100 + number) * width, width), baseline.Trace![Site.ResidPost, layer]);
                number++;
            }
        }
        Assert.Equal(100, number);
    }

    [Theory]
    [InlineData("test")]
    [InlineData("hard")]
    [InlineData("rank")]
    public void ModalityFollowing(string set)
    {
        var want = run.Reference.GetProperty("baseline").GetProperty(set);
        foreach (var rates in run.Found.Following.Where(f => f.Set == set))
        {
            var group = rates.Group switch
            {
                "all" => want,
                "category" => want.GetProperty("by_category").GetProperty(rates.Name),
                _ => Tag(want, rates.Name),
            };
            if (group.ValueKind == JsonValueKind.Undefined) continue;
            Same($"{set} {rates.Name} argmax", group.GetProperty("mfr_argmax"), rates.Argmax, rates.Runs);
            Same($"{set} {rates.Name} larger", group.GetProperty("mfr_larger"), rates.Larger, rates.Runs);
            if (group.TryGetProperty("competitor_argmax", out var competitor))
                Same($"{set} {rates.Name} competitor", competitor, rates.Competitor, rates.Runs);
        }
    }

    [Fact]
    public void Controls()
    {
        foreach (var kind in run.Reference.GetProperty("baseline").GetProperty("control").EnumerateObject())
        {
            var rates = run.Found.Following.Single(f => f.Set == "control" && f.Name == kind.Name);
            Assert.Equal(kind.Value.GetProperty("runs").GetInt32(), rates.Runs);
            Same(kind.Name, kind.Value.GetProperty("accuracy"), rates.Argmax, rates.Runs);
        }
    }

    [Fact]
    public void KnockoutOfEveryEdgeAndLayer()
    {
        var runs = run.Runs("test");
        foreach (var edge in run.Reference.GetProperty("knockout").GetProperty("edges").EnumerateObject())
        {
            var curve = run.Found.Knockouts.Single(k => k.Edge == edge.Name && k.Window == 3);
            var perRun = run.Arrays.ReadSingles($"test.knockout.{edge.Name}.signed_kl");
            foreach (var (want, row) in edge.Value.EnumerateArray().Select((w, i) => (w, i)))
            {
                var point = row < 8 ? curve.Layers[row] : curve.AllLayers!;
                var name = $"{edge.Name} at {want.GetProperty("layer")}";
                Assert.Equal(want.GetProperty("window").EnumerateArray().Select(w => w.GetInt32()),
                    row < 8 ? LayerWindow.Centred(row, 3, 8) : Enumerable.Range(0, 8));
                Near(name + " signed_kl", want.GetProperty("signed_kl"), point.Nssd.All.Mean, point.Nssd.Vision.Mean, point.Nssd.Text.Mean);
                var ratio = point.NssdMeans["log_ratio"];
                Near(name + " log_ratio", want.GetProperty("log_ratio"), ratio[0], ratio[1], ratio[2]);
                Same(name + " argmax", want.GetProperty("mfr_argmax"), point.Argmax, point.Runs);
                Same(name + " larger", want.GetProperty("mfr_larger"), point.Larger, point.Runs);
                var condition = row < 8 ? $"knockout/{edge.Name}/w3/L{row}" : $"knockout/{edge.Name}/all";
                Close.AssertAbsolute(name + " by run", perRun.AsSpan(row * 800, 800), [.. runs.Select(r => (float)StructuralDivergence.Of(
                    NssdVariant.SignedKl, r.Outcomes["baseline"].Margin, r.Outcomes[condition].Margin))], Curve);
            }
        }
    }

    [Fact]
    public void LensCurves()
    {
        var want = run.Reference.GetProperty("lens").GetProperty("with_norm");
        var found = run.Found.Layers;
        var curves = new (string Name, IReadOnlyList<ByInstruction> Found)[]
        {
            ("mam_top2_instruction", found.MamAnchor), ("mam_last", found.MamLast),
        };
        foreach (var (name, curve) in curves)
        {
            foreach (var (point, layer) in want.GetProperty(name).EnumerateArray().Select((p, i) => (p, i)))
                Near($"{name} at {layer}", point, curve[layer].All.Mean, curve[layer].Vision.Mean, curve[layer].Text.Mean);
        }
        foreach (var (name, attention, mlp) in new[] { ("increments_top2_instruction", found.AttentionAnchor, found.MlpAnchor),
            ("increments_last", found.AttentionLast, found.MlpLast) })
        {
            foreach (var (part, curve) in new[] { ("attention", attention), ("mlp", mlp) })
            {
                foreach (var (point, layer) in want.GetProperty(name).GetProperty(part).EnumerateArray().Select((p, i) => (p, i)))
                    Near($"{name} {part} at {layer}", point, curve[layer].All.Mean, curve[layer].Vision.Mean, curve[layer].Text.Mean);
            }
        }
        foreach (var (name, curve) in new[] { ("ldar", found.LdarAnchor), ("ldar_at_last", found.LdarLast) })
        {
            foreach (var (point, layer) in want.GetProperty(name).EnumerateArray().Select((p, i) => (p, i)))
                Same($"{name} at {layer}", point, curve[layer], 800);
        }
        foreach (var (name, curve) in new[] { ("ldar_decided", found.LdarAnchorDecided), ("ldar_at_last_decided", found.LdarLastDecided) })
        {
            foreach (var (point, layer) in want.GetProperty(name).EnumerateArray().Select((p, i) => (p, i)))
                Share($"{name} at {layer}", point.GetDouble(), curve[layer].All.Mean, 770);
        }
        Assert.Equal(800 - run.Reference.GetProperty("lens").GetProperty("decided_runs").GetInt32(), found.Undecided);
    }

    [Theory]
    [InlineData("no_norm", LensNorm.None)]
    [InlineData("with_norm", LensNorm.Final)]
    public void LensOfEveryRun(string name, LensNorm norm)
    {
        using var arena = new Arena();
        using var team = new Team(1);
        var compute = new Compute(arena, team);
        var model = run.Study.Model;
        var (layers, width, vocabulary) = (model.Decoder.Shape.Layers, model.Decoder.Shape.ModelSize, model.Decoder.VocabularySize);
        var want = new[] { "top2_instruction", "last", "top2_instruction_mid", "last_mid" }.ToDictionary(k => k,
            k => run.Arrays.ReadSingles($"test.lens.{name}.{k}"), StringComparer.Ordinal);
        var number = 0;
        foreach (var sample in run.Study.Data.Test.Samples.Take(60))
        {
            var pixels = model.Preprocess([Picture.Load(sample.Image!)]);
            var image = model.Engine.On(compute).Features(pixels);
            foreach (var conflict in sample.Runs)
            {
                var prompt = ConflictPrompt.Build(model, conflict, run.Study.Data.Layout, pixels, image);
                var entities = AnswerEntities.Of(conflict, model.Tokenizer, out _)!;
                int[] watched = [.. prompt.Span(SpanKind.Instruction), prompt.Length - 1];
                using var baseline = model.Engine.On(compute).Record(prompt,
                    new RecordOptions { Sites = [Site.ResidPre, Site.ResidMid, Site.ResidPost], Positions = [.. watched] });
                for (var layer = 0; layer < layers; layer++)
                {
                    Check("top2_instruction", "last", layer, baseline.Trace![Site.ResidPre, layer]);
                    Check("top2_instruction_mid", "last_mid", layer, baseline.Trace[Site.ResidMid, layer]);
                }
                Check("top2_instruction", "last", layers, baseline.Trace![Site.ResidPost, layers - 1]);
                number++;

                void Check(string anchor, string last, int layer, float[] resid)
                {
                    var logits = LogitLens.Logits(model.Engine.On(compute), resid, norm == LensNorm.Final);
                    double Phi(int token) =>
                        SignalExtraction.TopK(
                            [.. Enumerable.Range(0, watched.Length - 1).Select(i => (double)logits[i * vocabulary + token])], 2);
                    var row = (watched.Length - 1) * vocabulary;
                    Assert.Equal(want[anchor][layer * 800 + number], Phi(entities.Following) - Phi(entities.Competing), Curve);
                    Assert.Equal(want[last][layer * 800 + number], logits[row + entities.Following] - logits[row + entities.Competing],
                        Curve);
                }
            }
        }
    }

    [Fact]
    public void HeadTableAndRanking()
    {
        var table = run.Arrays.ReadSingles("rank.head_table");
        var (all, vision, text) = run.Study.Scores(run.Store, HeadScoreVariant.CausalMargin);
        Close.AssertAbsolute("head table", table, [.. all.Concat(vision).Concat(text).Select(v => (float)v)], Curve);
        var want = run.Reference.GetProperty("head_table");
        Assert.Equal(Heads(want.GetProperty("order")).Take(6), run.Plan.Order.Take(6));
        var top = want.GetProperty("top_5_percent");
        Assert.Equal(Heads(top.GetProperty("vision")), run.Plan.Vision);
        Assert.Equal(Heads(top.GetProperty("text")), run.Plan.Text);
        Assert.Equal(Heads(want.GetProperty("shared")), run.Found.Heads.Shared.Select(h => (h.Layer, h.Head)));
        foreach (var share in want.GetProperty("share_of_positive_effect_of_top").EnumerateObject()
            .Where(s => int.Parse(s.Name, CultureInfo.InvariantCulture) <= 6))
            Assert.Equal(share.Value.GetDouble(), run.Found.Heads.ShareOfPositive[int.Parse(share.Name, CultureInfo.InvariantCulture) - 1],
                Curve);
    }

    [Theory]
    [InlineData("1")]
    [InlineData("2")]
    [InlineData("5")]
    [InlineData("10")]
    public void Blocking(string percent)
    {
        var want = run.Reference.GetProperty("block").GetProperty(percent);
        var found = run.Found.Blocking.Single(b => b.Name.Text == "top" + percent);
        Assert.Equal(Heads(want.GetProperty("heads")), found.Heads.Select(h => (h.Layer, h.Head)));
        Same("argmax", want.GetProperty("mfr_argmax"), found.Argmax, 800);
        Same("larger", want.GetProperty("mfr_larger"), found.Larger, 800);
        Same("competitor", want.GetProperty("competitor_argmax"), found.Competitor, 800);
        Accuracy(want.GetProperty("control"), found.Control);
    }

    [Fact]
    public void BlockingTheReferencesOwnRandomDraws()
    {
        var draws = run.Reference.GetProperty("block").EnumerateObject()
            .SelectMany(share => share.Value.GetProperty("random").GetProperty("draws").EnumerateArray().Select((d, i) => (
                Name: $"{share.Name} % draw {i}", Heads: Heads(d).ToList(),
                Want: share.Value.GetProperty("random").GetProperty("mfr_argmax")[i].GetProperty("all").GetDouble())))
            .Where((_, i) => i % 4 == 0).ToList();
        var follows = new int[draws.Count];
        using var arena = new Arena();
        using var team = new Team(1);
        var compute = new Compute(arena, team);
        var model = run.Study.Model;
        foreach (var sample in run.Study.Data.Test.Samples)
        {
            var pixels = model.Preprocess([Picture.Load(sample.Image!)]);
            var image = model.Engine.On(compute).Features(pixels);
            foreach (var conflict in sample.Runs)
            {
                var prompt = ConflictPrompt.Build(model, conflict, run.Study.Data.Layout, pixels, image);
                var relay = Positions.Of(prompt.Union(SpanKind.Question, SpanKind.Instruction, SpanKind.Suffix, SpanKind.Last));
                var answer = AnswerEntities.Of(conflict, model.Tokenizer, out _)!.Following;
                using var baseline = model.Engine.On(compute).Record(prompt);
                Sweep.LastLogits(model.Engine.On(compute),
                    [.. draws.Select(d => new SweepItem(baseline, Intervention.HeadGain(d.Name, d.Heads, 0, relay)))],
                    (i, logits) => follows[i] += Sampler.ArgMax(logits) == answer ? 1 : 0);
            }
        }
        for (var i = 0; i < draws.Count; i++) Share(draws[i].Name, draws[i].Want, follows[i] / 800.0, 800);
    }

    [Theory]
    [InlineData("test", "top_5_percent", "top5")]
    [InlineData("test", "top_10_percent", "top10")]
    [InlineData("test", "deep_5_percent", "deep5")]
    [InlineData("hard", "top_5_percent", "top5")]
    [InlineData("hard", "top_10_percent", "top10")]
    [InlineData("hard", "deep_5_percent", "deep5")]
    public void Amplification(string set, string group, string name)
    {
        var amplify = run.Reference.GetProperty("amplify");
        var want = amplify.GetProperty("sets").GetProperty(set);
        var found = run.Found.Amplification.Single(a => a.Set == set && a.Group.Text == name);
        Assert.Equal(Heads(amplify.GetProperty("groups").GetProperty(group)), found.Heads.Select(h => (h.Layer, h.Head)));
        Assert.Equal(want.GetProperty("failed_runs").GetInt32(), found.Failed);
        foreach (var factor in want.GetProperty("groups").GetProperty(group).EnumerateObject().Where(f => char.IsDigit(f.Name[0])))
        {
            var point = found.Points.Single(p => p.Factor == double.Parse(factor.Name, CultureInfo.InvariantCulture));
            Same($"x{factor.Name} recovered", factor.Value.GetProperty("recovered_argmax"), point.RecoveredArgmax, found.Failed);
            Same($"x{factor.Name} recovered, larger", factor.Value.GetProperty("recovered_larger"), point.RecoveredLarger, found.Failed);
            Same($"x{factor.Name} whole set", factor.Value.GetProperty("whole_set_mfr_argmax"), point.WholeArgmax!, found.Runs);
            Same($"x{factor.Name} whole set, larger", factor.Value.GetProperty("whole_set_mfr_larger"), point.WholeLarger!, found.Runs);
            Accuracy(amplify.GetProperty("control").GetProperty(group).GetProperty(factor.Name), point.Control);
        }
    }

    private static JsonElement Tag(JsonElement set, string tag) =>
        set.TryGetProperty("by_tag", out var tags) && tags.TryGetProperty(tag, out var found) ? found : default;

    private static IEnumerable<(int Layer, int Head)> Heads(JsonElement list) =>
        list.EnumerateArray().Select(h => (h[0].GetInt32(), h[1].GetInt32()));

    private static void Near(string what, JsonElement want, double all, double vision, double text)
    {
        foreach (var (split, found) in new[] { ("all", all), ("vision", vision), ("text", text) })
            Assert.True(Math.Abs(want.GetProperty(split).GetDouble() - found) <= Curve,
                $"{what} {split}: expected {want.GetProperty(split)}, found {found}");
    }

    /// <summary>Shares are counts of runs: equal but for the six digits of the file.</summary>
    private static void Same(string what, JsonElement want, ByInstruction found, int runs)
    {
        if (want.ValueKind == JsonValueKind.Number)
        {
            Share(what, want.GetDouble(), found.All.Mean, runs);
            return;
        }
        foreach (var (split, estimate) in new[] { ("all", found.All), ("vision", found.Vision), ("text", found.Text) })
        {
            if (want.TryGetProperty(split, out var value) && value.ValueKind == JsonValueKind.Number)
                Share($"{what} {split}", value.GetDouble(), estimate.Mean, Math.Max(1, estimate.Count));
        }
    }

    private static void Share(string what, double want, double found, int runs) =>
        Assert.True(Math.Abs(want - found) <= 1e-6, $"{what}: expected {want}, found {found} of {runs} runs");

    private static void Accuracy(JsonElement want, IReadOnlyDictionary<string, Estimate> found)
    {
        foreach (var kind in want.EnumerateObject())
            Share(kind.Name, kind.Value.GetDouble(), found[kind.Name].Mean, found[kind.Name].Count);
    }
}
