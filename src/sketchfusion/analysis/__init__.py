"""Analysis: PCA pictures and Fourier spectra of the frozen models' and the fused features (the paper's pilot study)."""
