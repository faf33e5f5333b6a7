namespace AnchorScope.Tensors;

/// <summary>The version of the kernels' bits. A partial run of one version is not resumed by another.</summary>
/// <remarks>
/// Increase it with every change after which the same weights, prompt and interventions give other bits. The number of threads, the batch
/// and the vector width change no bits. NumericsTests pins the bits of one model to this version.
/// </remarks>
internal static class Numerics
{
    /// <summary>1: as of AnchorScope 0.1.0.</summary>
    public const int Version = 1;
}
