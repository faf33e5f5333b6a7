using AnchorScope.Bench;
OpenBlas.Start();
GemmBench.Run();
