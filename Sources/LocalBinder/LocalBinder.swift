// The first code of this target is on its way.
