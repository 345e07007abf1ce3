"""Building blocks of frameworks: heads, teacher, queue, Sinkhorn codes, multiple views, schedules."""
