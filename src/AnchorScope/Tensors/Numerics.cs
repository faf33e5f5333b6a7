namespace AnchorScope.Tensors;

/// <summary>Which bits the kernels compute. Runs that different versions began are not continued into each other.</summary>
/// <remarks>
/// Raised with every change after which the same weights, prompt and interventions give other bits. Threads, batch and vector width change none.
/// NumericsTests holds the bits of one model to it.
/// </remarks>
internal static class Numerics
{
    /// <summary>1: as of AnchorScope 0.1.0.</summary>
    public const int Version = 1;
}
