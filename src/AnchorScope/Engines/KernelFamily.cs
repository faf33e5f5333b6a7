namespace AnchorScope.Engines;

/// <summary>Which matrix kernel a study uses. The two differ in the last bits, so a study uses only one of them.</summary>
internal enum KernelFamily
{
    /// <summary>Panels of 32 outputs, for many rows: prefill, sweeps.</summary>
    Panel,

    /// <summary>Weights streamed once as stored, for few rows: decoding.</summary>
    Direct,
}
