//! Conformance suite, generators and reference model for providers of governance-core.
