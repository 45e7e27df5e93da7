"""Pure functions on arrays: figures, their intervals, calibration and operating points."""
