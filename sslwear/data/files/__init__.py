"""Reading of recordings from device files and tables: times, units, calibration, non-wear and quality."""
