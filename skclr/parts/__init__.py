"""What frameworks are made of: heads, teacher, queue, prototypes' codes, several views, schedules."""
