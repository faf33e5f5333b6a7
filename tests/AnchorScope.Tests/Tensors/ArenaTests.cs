using AnchorScope.Tensors;

namespace AnchorScope.Tests.Tensors;

public sealed class ArenaTests
{
    [Fact]
    public void WhatIsTaken_IsAligned_AndDoesNotOverlap()
    {
        using var arena = new Arena();
        var random = new Random(7);
        List<(Tensor Tensor, float Value)> taken = [];
        for (var i = 0; i < 200; i++)
        {
            var tensor = arena.Take(random.Next(0, 40), random.Next(1, 5000));
            Assert.Equal(0, Address(tensor) % 64);
            for (var row = 0; row < tensor.Rows; row++) tensor[row].Fill(i);
            taken.Add((tensor, i));
        }
        foreach (var (tensor, value) in taken)
        {
            for (var row = 0; row < tensor.Rows; row++) Assert.True(tensor[row].IndexOfAnyExcept(value) < 0);
        }
    }

    [Fact]
    public void WhatIsReleased_IsTakenAgain_AndOlderMemoryStays()
    {
        using var arena = new Arena();
        var old = arena.Take(1, 1000);
        old[0].Fill(3);
        var mark = arena.Here();
        var first = Address(arena.Take(2, 500));
        arena.Release(mark);
        Assert.Equal(first, Address(arena.Take(2, 500)));
        arena.Release(mark);
        arena.Take(1, 20_000_000)[0].Fill(5);
        Assert.True(old[0].IndexOfAnyExcept(3f) < 0);
    }

    [Fact]
    public void PhasesOfDifferentSizes_TakeWhatTheLargerNeeds_NotTheirSum()
    {
        const int floats = 2 << 20;
        using var arena = new Arena();
        for (var round = 0; round < 3; round++)
        {
            var mark = arena.Here();
            for (var i = 0; i < 9; i++) arena.Take(1, floats);
            arena.Release(mark);
            arena.Take(1, floats);
            for (var i = 0; i < 2; i++) arena.Take(1, 3 * floats);
            arena.Release(mark);
        }
        Assert.InRange(arena.Bytes, 9L * floats * sizeof(float), 10L * floats * sizeof(float));
    }

    private static unsafe nint Address(Tensor tensor) => (nint)tensor.Data;
}
