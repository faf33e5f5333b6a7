using AnchorScope.Bench;

namespace AnchorScope.Tests.Tools;

/// <summary>A peer with a badly slowed matrix library is refused in benchmarks.</summary>
public sealed class BlasKernelsTests
{
    [Theory]
    [InlineData("openblas SkylakeX")]
    [InlineData("openblas Haswell")]
    [InlineData("openblas Zen")]
    [InlineData("mkl")]
    public void ALibraryThatKnowsTheMachine_IsTaken(string blas) => Assert.Equal(blas, BlasKernels.Check("torch", blas));

    [Theory]
    [InlineData("reference")]
    [InlineData("unknown")]
    [InlineData("openblas Prescott")]
    [InlineData("openblas Core2")]
    [InlineData("openblas Generic")]
    [InlineData("openblas ")]
    [InlineData("openblas")]
    [InlineData("")]
    public void ACrippledOne_IsRefused(string blas) =>
        Assert.Contains($"torch multiplies with '{blas}', and a comparison with that would flatter us",
            Assert.Throws<InvalidOperationException>(() => BlasKernels.Check("torch", blas)).Message, StringComparison.Ordinal);
}
