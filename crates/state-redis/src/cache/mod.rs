//! Values that can be had again: cache.
