"""What a user does, one verb per file; the same functions stand behind `thuja.<verb>` and `thuja <verb>`. They know Task, never an application."""
