//! Where long work stands: process state.
