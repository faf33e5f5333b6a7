using AnchorScope.Engines;
using AnchorScope.Interventions;
using AnchorScope.Models;
using AnchorScope.Prompts;
using AnchorScope.Studies;
using AnchorScope.Tests.Models;

namespace AnchorScope.Tests.Engines;

/// <summary>Mistakes of a program that uses the library: one clear line each, and never a wrong number.</summary>
public sealed class MisuseTests
{
    [Fact]
    public void ACountBeyondReason_IsRefused()
    {
        using var tiny = Tiny.Open();
        Assert.Contains("threads: expected 1 to 1024, found 5000",
            Assert.Throws<InputException>(() => tiny.Model.OpenSession(new SessionOptions { Threads = 5000 })).Message,
            StringComparison.Ordinal);
        Assert.Throws<InputException>(() => tiny.Model.OpenSession(new SessionOptions { ReservedBytes = -1 }));
        Assert.Contains("at most", Assert.Throws<InputException>(() => Positions.Range(0, int.MaxValue)).Message, StringComparison.Ordinal);
        Assert.Throws<InputException>(() => tiny.Session.Forward(tiny.Prompt, Intervention.None, generated: -1));
        Assert.Throws<InputException>(() => new Sequence(tiny.Session, tiny.Prompt, new SequenceOptions(int.MaxValue)));
        using var sequence = new Sequence(tiny.Session, tiny.Prompt, new SequenceOptions(1));
        Assert.Throws<ArgumentOutOfRangeException>(() => sequence.Next(-1));
    }

    /// <summary>Aligned positions in any order are the same pairs.</summary>
    [Fact]
    public void AlignedPositions_KeepTheirPairs()
    {
        using var tiny = Tiny.Open();
        var donor = new Trace([Site.HeadOut]);
        tiny.Session.Forward(tiny.Prompt, Intervention.None, donor);
        Intervention Of(AlignedPositions at) =>
            HeadInterchange.Of("x", tiny.Decoder.Shape, HeadContent.Z, [(1, 0)], at, donor);
        Assert.Equal(Of(new AlignedPositions([5, 9], [3, 2])), Of(new AlignedPositions([9, 5], [2, 3])));
        Assert.NotEqual(Of(new AlignedPositions([5, 9], [2, 3])), Of(new AlignedPositions([9, 5], [2, 3])));
        Assert.Throws<InputException>(() => new AlignedPositions([5, 9], [3]));
        Assert.Throws<InputException>(() => new AlignedPositions([5, 5], [3, 2]));
        var shape = tiny.Decoder.Shape;
        var at = new AlignedPositions([5], [3]);
        Assert.Contains("at least one head", Assert.Throws<InputException>(
            () => HeadInterchange.Of("x", shape, HeadContent.Z, [], at, donor)).Message, StringComparison.Ordinal);
        Assert.Contains("0 to 3, found 9", Assert.Throws<InputException>(
            () => HeadInterchange.Of("x", shape, HeadContent.Z, [(1, 9)], at, donor)).Message, StringComparison.Ordinal);
        Assert.Contains("HeadInterchange.PassedOn", Assert.Throws<InputException>(
            () => HeadInterchange.Of("x", shape, HeadContent.PassedOn, [(1, 0)], at, donor)).Message, StringComparison.Ordinal);
        Assert.Throws<InputException>(() => HeadInterchange.PassedOn("x", shape, [], Positions.Of(9), at, donor));
    }

    /// <summary>Also where nothing would be computed, because the intervention is empty.</summary>
    [Fact]
    public void ARunOfAnotherModel_IsRefusedByASweepOfNothing()
    {
        using var tiny = Tiny.Open();
        using var other = Tiny.Open();
        var recorded = other.Session.Record(other.Prompt);
        Assert.Throws<ArgumentException>(() => Sweep.Run(tiny.Session, recorded, [Intervention.None]));
        Assert.Single(Sweep.Run(other.Session, recorded, [Intervention.None]));
        recorded.Dispose();
        Assert.Throws<ObjectDisposedException>(() => Sweep.Run(other.Session, recorded, [Intervention.None]));
    }

    [Fact]
    public void ASequenceComputedByTwoSessionsAtOnce_IsRefused()
    {
        using var tiny = Tiny.Open();
        using var session = tiny.Model.OpenSession();
        var (refused, shared) = (new List<Exception?>(), (Sequence?)null);
        using var sequence = new Sequence(tiny.Session, tiny.Prompt, new SequenceOptions(2)
        {
            Chosen = (_, _) =>
            {
                var other = new Thread(() => refused.Add(Record.Exception(() => SequenceBatch.Step(session, [shared!]))));
                other.Start();
                other.Join();
            },
        });
        shared = sequence;
        while (SequenceBatch.Step(tiny.Session, [sequence]) > 0)
        {
        }
        Assert.Contains("cannot be shared", Assert.IsType<InvalidOperationException>(refused[0]).Message, StringComparison.Ordinal);
        // With its last token it has ended, and there is nothing to compute.
        Assert.Null(refused[1]);
    }

    [Fact]
    public void WhatDoesNotExist_IsNamed()
    {
        using var tiny = Tiny.Open();
        Assert.Contains("operation: expected", Assert.Throws<InputException>(() => tiny.Session.Forward(
            tiny.Prompt, new Intervention("x", new Edit(Site.HeadOut, 1, (Operation)77)))).Message, StringComparison.Ordinal);
        Assert.Contains("site: expected", Assert.Throws<InputException>(() => tiny.Session.Forward(
            tiny.Prompt, new Intervention("x", new Edit((Site)99, 1, Operation.Scale) { Factor = 2 }))).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => tiny.Session.Record(tiny.Prompt, new RecordOptions { Sites = [(Site)99] }));
        Assert.Throws<ArgumentException>(() => tiny.Session.Record(tiny.Prompt, new RecordOptions { Sites = [Site.Key], Positions = [] }));
        using var late = tiny.Session.Record(tiny.Prompt, new RecordOptions { From = 8 });
        Assert.Contains("RecordOptions.From", Assert.Throws<InputException>(
            () => Sweep.Run(tiny.Session, late, [Intervention.HeadGain(1, 0, 0, Positions.Of(4))])).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => tiny.Session.Differentiate([], LossGradient.Margin(1, 2)));
        var options = new AttributionOptions { TokenA = 1, TokenB = 2, Positions = [] };
        Assert.Throws<InputException>(() => Attribution.Of(tiny.Session, late, options));
        using var whole = tiny.Session.Record(tiny.Prompt);
        float[] Edges(params int[] queries) => Attribution.Of(tiny.Session, whole,
            options with { Edges = [new EdgeGroup("e", queries, [3])] }).Edges["e"];
        Assert.Equal(Edges(7), Edges(7, 7));
        Assert.Throws<InputException>(() => Attribution.Of(tiny.Session, whole,
            options with { Edges = [new EdgeGroup("e", [7], [3]), new EdgeGroup("e", [8], [3])] }));
        Assert.Throws<InputException>(() => new DonorRows([1, 2], -1));
    }
}
